//! How sound goes between us and one member: by a WebRTC connection of its own, and by a sealed stream beside the signalling
//! while that carries nothing.
//!
//! ```text
//!  admitted          own connection stands     0.7 s without a packet        a new one stands
//!  ── stream ───────────────── overlap ┐          ┌── stream ──────────── overlap ┐
//!        negotiation 1 ──▶ ─── own ────┴──────────┤ negotiation 2, 3 … ──▶ ── own ─┴────
//! ```

use std::time::{Duration, Instant};

/// Silence after which something is wrong: packets come a hundred times a second, muted or not.
const SILENCE: Duration = Duration::from_millis(700);
/// The wait after the first try for a way; each later one is twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(2);
/// The longest wait while nothing is heard at all: an outage that is over is noticed by then.
const LONGEST_SILENT_WAIT: Duration = Duration::from_secs(8);
/// The longest wait while the stream carries sound: a network that lets no UDP through rarely begins to.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How long a first negotiation may take, and any whose descriptions are exchanged, before another takes its place.
const NEGOTIATION: Duration = Duration::from_secs(5);
/// Whoever asks for a connection so soon after one was begun asks for that one.
const JUST_BEGUN: Duration = Duration::from_secs(1);
/// Both ways are used for so long after the connection stands here: there it may stand a moment later.
const OVERLAP: Duration = Duration::from_millis(300);
/// A stream that carries sound for less is not worth telling of.
const PASSING: Duration = Duration::from_millis(300);
/// Who says that it hears nothing is sent the stream for so long, though our connection seems to stand.
const ASKED: Duration = Duration::from_secs(10);

/// The waits before a way without anybody between is looked for again, while sound goes through somebody. Few: most networks that let
/// none through never will.
const BETTER_WAITS: [Duration; 4] =
    [Duration::from_secs(2), Duration::from_secs(5), Duration::from_secs(20), Duration::from_secs(60)];

/// Who is between two people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Nobody.
    Direct,
    /// A helper.
    Relayed,
    /// A member.
    Member,
}

impl Way {
    /// The word that people and scripts see.
    pub fn word(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Relayed => "relayed",
            Self::Member => "member",
        }
    }
}

/// What carries sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Who is between.
    pub way: Way,
    /// Type of our candidate (RFC 8445 §5.1.1), or `stream`.
    pub local: &'static str,
    /// Type of theirs.
    pub remote: &'static str,
}

/// What is to be done about the ways to a member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// Connect the signalling anew: it may be as dead as the sound.
    pub renew: bool,
    /// Negotiate a connection, or ask the other side to.
    pub negotiate: bool,
    /// Offer another connection, in case that it needs nobody between.
    pub better: bool,
    /// Begin or end to send by the stream.
    pub stream: Option<bool>,
    /// The stream has become what carries sound.
    pub tell: Option<Route>,
}

struct Negotiation {
    since: Instant,
    /// Both descriptions are exchanged.
    answered: bool,
}

/// The ways to one member.
pub struct Paths {
    own: Option<(Route, Instant)>,
    stream: Option<(Route, Instant)>,
    streaming: bool,
    /// Of the newest negotiation.
    number: u64,
    negotiation: Option<Negotiation>,
    began: Instant,
    /// The next try, should one be needed.
    retry_at: Option<Instant>,
    tries: u32,
    /// When a better way than that of our own connection is looked for, and how often it was.
    better_at: Option<Instant>,
    better_tries: usize,
    /// An address has changed since the connection came: it seems to stand and does not.
    disturbed: bool,
    /// When the signalling was connected last.
    renewed_at: Option<Instant>,
    /// It has said that it hears nothing, or wants another connection.
    asked_until: Option<Instant>,
    /// When the ears last looked for packets, and last found any: on its own connection, by any way.
    looked: Option<Instant>,
    own_heard: Option<Instant>,
    heard: Option<Instant>,
    told: Option<Route>,
}

impl Paths {
    /// None yet; the first negotiation begins now.
    pub fn new(now: Instant) -> Self {
        Self {
            own: None,
            stream: None,
            streaming: false,
            number: 0,
            negotiation: None,
            began: now,
            retry_at: Some(now + NEGOTIATION),
            tries: 0,
            better_at: None,
            better_tries: 0,
            disturbed: false,
            renewed_at: None,
            asked_until: None,
            looked: None,
            own_heard: None,
            heard: None,
            told: None,
        }
    }

    /// What carries sound, if anything does.
    pub fn route(&self) -> Option<Route> {
        self.own.or(self.stream).map(|(route, _)| route)
    }

    /// Since the member came.
    pub fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.began)
    }

    /// How long nothing has come although it should; `None` while all is well, or before anything has.
    pub fn silent_for(&self) -> Option<Duration> {
        let silent = self.looked?.saturating_duration_since(self.heard?);
        (silent >= SILENCE).then_some(silent)
    }

    /// We make an offer: the number of the negotiation.
    pub fn offer(&mut self, now: Instant) -> u64 {
        self.number = self.number.saturating_add(1);
        self.negotiation = Some(Negotiation { since: now, answered: false });
        self.number
    }

    /// An offer came; false when it is a repetition.
    pub fn offered(&mut self, now: Instant, number: u64) -> bool {
        if number != 0 && number <= self.number {
            return false;
        }
        self.number = number.max(self.number);
        self.negotiation = Some(Negotiation { since: now, answered: true });
        if self.own.is_some() {
            self.asked_until = Some(now + ASKED);
        }
        true
    }

    /// An answer came; false when it is not to our newest offer, or not the first.
    pub fn answered(&mut self, now: Instant, number: u64) -> bool {
        let newest = self.is_newest(number);
        let Some(waiting) = self.negotiation.as_mut().filter(|waiting| newest && !waiting.answered) else {
            return false;
        };
        *waiting = Negotiation { since: now, answered: true };
        true
    }

    /// The other side, which offers, may have forgotten us and count from the beginning.
    pub fn count_anew(&mut self) {
        self.number = 0;
    }

    /// Whether a candidate or description belongs to the newest negotiation.
    pub fn is_newest(&self, number: u64) -> bool {
        number == 0 || number == self.number
    }

    /// The number of the newest negotiation.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The other side wants another connection; true if we shall offer one now.
    pub fn asked(&mut self, now: Instant) -> bool {
        self.asked_until = Some(now + ASKED);
        let since = |negotiation: &Negotiation| now.saturating_duration_since(negotiation.since);
        let begun = self.negotiation.as_ref().is_some_and(|negotiation| since(negotiation) < JUST_BEGUN);
        if !begun {
            self.retry_at = Some(now + FIRST_WAIT);
        }
        !begun
    }

    /// A connection of its own stands.
    pub fn own_up(&mut self, now: Instant, route: Route) {
        (self.own, self.told) = (Some((route, now)), Some(route));
        (self.own_heard, self.negotiation, self.asked_until, self.disturbed) = (None, None, None, false);
        self.better_at = if route.way == Way::Direct { None } else { self.next_better(now) };
    }

    fn next_better(&self, now: Instant) -> Option<Instant> {
        BETTER_WAITS.get(self.better_tries).map(|wait| now + *wait)
    }

    /// It stands no more, or none could be had.
    pub fn own_down(&mut self) {
        self.own = None;
    }

    /// We can send by the stream.
    pub fn stream_up(&mut self, now: Instant, route: Route) {
        self.stream = Some((route, now));
    }

    /// We cannot any more.
    pub fn stream_down(&mut self) {
        self.stream = None;
    }

    /// The ears looked for packets `at` that time, and found some since the last time, or none.
    pub fn listened(&mut self, at: Instant, by_own: bool, by_stream: bool) {
        self.looked = self.looked.max(Some(at));
        if by_own {
            self.own_heard = self.looked;
        }
        if by_own || by_stream {
            self.heard = self.looked;
        }
    }

    /// An address has changed here: nothing that stands can be trusted.
    pub fn moved(&mut self, now: Instant) {
        (self.disturbed, self.retry_at, self.tries, self.better_tries) = (true, Some(now), 0, 0);
    }

    /// The signalling stands again, or another server could help: there is no reason to wait.
    pub fn renewed(&mut self, now: Instant) {
        self.renewed_at = Some(now);
        if self.needs_own(now) {
            self.retry_at = Some(now);
        }
    }

    /// The connection is not there, or nothing comes by it.
    fn needs_own(&self, now: Instant) -> bool {
        let Some((_, since)) = self.own else { return true };
        let heard = self.own_heard.unwrap_or(since).max(since);
        // What the ears have not looked for cannot have been missed, nor what was never sent.
        let looked = self.looked.filter(|_| self.heard.is_some());
        self.disturbed || looked.is_some_and(|looked| looked.min(now).saturating_duration_since(heard) >= SILENCE)
    }

    /// Time has passed. `connected`: signals can be sent.
    pub fn look(&mut self, now: Instant, connected: bool) -> Wants {
        let mut wants = Wants::default();
        let needs_own = self.needs_own(now);
        let silent = self.silent_for().is_some() || self.disturbed;
        if !needs_own {
            (self.retry_at, self.tries) = (None, 0);
            wants.better = connected && self.better_at.is_some_and(|at| at <= now);
            if wants.better {
                self.better_tries += 1;
                self.better_at = self.next_better(now);
            }
        } else if self.retry_at.is_none_or(|at| at <= now) {
            let wait = FIRST_WAIT.saturating_mul(1 << self.tries.min(5));
            self.retry_at = Some(now + wait.min(if silent { LONGEST_SILENT_WAIT } else { LONGEST_WAIT }));
            self.tries += 1;
            let checking = |negotiation: &Negotiation| {
                negotiation.answered && now.saturating_duration_since(negotiation.since) < NEGOTIATION
            };
            let afresh = self.disturbed && self.tries == 1;
            let just = |at: Instant| now.saturating_duration_since(at) < FIRST_WAIT;
            wants.renew = silent && !self.renewed_at.is_some_and(just);
            wants.negotiate = connected && (afresh || !self.negotiation.as_ref().is_some_and(checking));
        }
        let settled = self.own.is_some_and(|(_, since)| now.saturating_duration_since(since) >= OVERLAP);
        let stream = !settled || needs_own || self.asked_until.is_some_and(|until| now < until);
        wants.stream = (stream != self.streaming).then_some(stream);
        self.streaming = stream;
        wants.tell = self.stream.and_then(|(route, since)| {
            let lasting = now.saturating_duration_since(since.max(self.began)) >= PASSING;
            (self.own.is_none() && lasting && self.told != Some(route)).then_some(route)
        });
        self.told = wants.tell.or(self.told);
        wants
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Route = Route { way: Way::Direct, local: "host", remote: "host" };
    const STREAM: Route = Route { way: Way::Relayed, local: "stream", remote: "stream" };

    struct Story {
        paths: Paths,
        began: Instant,
        ms: u64,
        own: bool,
        stream: bool,
        log: Vec<(u64, Wants)>,
    }

    impl Story {
        fn new() -> Self {
            let began = Instant::now();
            Self { paths: Paths::new(began), began, ms: 0, own: false, stream: false, log: Vec::new() }
        }

        fn now(&self) -> Instant {
            self.began + Duration::from_millis(self.ms)
        }

        /// Until then, ears and clock tick ten times a second.
        fn until(&mut self, ms: u64) {
            while self.ms < ms {
                self.ms += 100;
                self.paths.listened(self.now(), self.own, self.stream);
                let wants = self.paths.look(self.now(), true);
                if wants.negotiate || wants.better {
                    self.paths.offer(self.now());
                }
                if wants != Wants::default() {
                    self.log.push((self.ms, wants));
                }
            }
        }

        fn negotiations(&self) -> Vec<u64> {
            self.log.iter().filter(|(_, wants)| wants.negotiate).map(|(ms, _)| *ms).collect()
        }

        fn streaming(&self) -> Vec<(u64, bool)> {
            self.log.iter().filter_map(|(ms, wants)| Some((*ms, wants.stream?))).collect()
        }

        fn talking() -> Self {
            let mut story = Self::new();
            story.paths.offer(story.now());
            story.until(100);
            story.paths.own_up(story.now(), OWN);
            story.own = true;
            story.until(10_000);
            story
        }
    }

    #[test]
    fn the_stream_carries_sound_until_the_connection_stands_and_a_moment_longer() {
        let story = Story::talking();
        assert_eq!(story.streaming(), [(100, true), (400, false)]);
        assert_eq!((story.negotiations(), story.paths.route()), (vec![], Some(OWN)));
    }

    #[test]
    fn silence_is_answered_at_once_and_then_ever_less_often() {
        let mut story = Story::talking();
        story.own = false;
        story.until(40_000);
        assert_eq!(story.negotiations(), [10_700, 12_700, 16_700, 24_700, 32_700]);
        assert!(story.log.iter().filter(|(_, wants)| wants.negotiate).all(|(_, wants)| wants.renew));
        assert_eq!(story.streaming()[2..], [(10_700, true)]);
        assert!(story.paths.silent_for() >= Some(Duration::from_secs(29)));
    }

    #[test]
    fn while_the_stream_carries_sound_the_signalling_is_left_alone_and_the_connection_tried_rarely() {
        let mut story = Story::talking();
        story.own = false;
        story.until(10_800);
        story.paths.stream_up(story.now(), STREAM);
        story.stream = true;
        story.until(200_000);
        assert_eq!(story.paths.silent_for(), None);
        assert_eq!(story.negotiations(), [10_700, 12_700, 16_700, 24_700, 40_700, 72_700, 132_700, 192_700]);
        assert_eq!(story.log.iter().filter(|(_, wants)| wants.renew).count(), 1);
        assert!(story.log.iter().all(|(_, wants)| wants.tell.is_none()), "the connection may come back");
        story.paths.own_down();
        story.until(200_100);
        assert_eq!(story.log.last().and_then(|(_, wants)| wants.tell), Some(STREAM));
        assert_eq!(story.paths.route(), Some(STREAM));
    }

    #[test]
    fn a_negotiation_that_is_being_answered_is_given_time() {
        let mut story = Story::talking();
        story.own = false;
        story.until(11_000);
        assert!(!story.paths.answered(story.now(), 1), "the answer to another offer");
        assert!(story.paths.answered(story.now(), 2) && !story.paths.answered(story.now(), 2), "once");
        story.until(17_000);
        assert_eq!(story.negotiations(), [10_700, 16_700]);
    }

    #[test]
    fn another_address_is_reason_enough() {
        let mut story = Story::talking();
        story.paths.moved(story.now());
        story.until(11_000);
        assert_eq!(story.negotiations(), [10_100]);
        assert!(story.log.iter().any(|(_, wants)| wants.renew));
        story.paths.own_up(story.now(), OWN);
        story.until(20_000);
        assert_eq!(story.negotiations(), [10_100], "and once it stands nothing more is wanted");
    }

    #[test]
    fn signalling_that_stands_again_is_used_at_once_and_not_doubted() {
        let mut story = Story::talking();
        story.own = false;
        story.until(13_000);
        story.paths.renewed(story.now());
        story.until(13_500);
        assert_eq!(story.negotiations(), [10_700, 12_700, 13_100]);
        assert_eq!(story.log.iter().filter(|(_, wants)| wants.renew).count(), 2);
        let mut calm = Story::talking();
        calm.paths.renewed(calm.now());
        calm.until(15_000);
        assert!(calm.negotiations().is_empty(), "while all is well it is no news");
    }

    #[test]
    fn while_sound_goes_through_somebody_a_better_way_is_looked_for_a_few_times_and_anew_elsewhere() {
        let better = |story: &Story| -> Vec<u64> {
            story.log.iter().filter(|(_, wants)| wants.better).map(|(ms, _)| *ms).collect()
        };
        let relayed = Route { way: Way::Relayed, local: "relay", remote: "host" };
        let mut story = Story::talking();
        story.until(100_000);
        assert_eq!(better(&story), [0; 0], "there is none");
        story.paths.own_up(story.now(), relayed);
        story.until(300_000);
        assert_eq!(better(&story), [102_000, 107_000, 127_000, 187_000]);
        assert!(story.negotiations().is_empty(), "what there is goes on");
        story.paths.moved(story.now());
        story.until(300_100);
        story.paths.own_up(story.now(), relayed);
        story.until(302_100);
        assert_eq!(better(&story)[4..], [302_100]);
        story.paths.own_up(story.now(), OWN);
        story.until(600_000);
        assert_eq!(better(&story).len(), 5, "found");
    }

    #[test]
    fn ears_that_do_not_look_miss_nothing() {
        let mut story = Story::talking();
        story.ms += 5_000;
        assert_eq!(story.paths.look(story.now(), true), Wants::default());
    }

    #[test]
    fn repetitions_and_strays_are_told_apart() {
        let mut story = Story::new();
        let now = story.now();
        assert!(story.paths.offered(now, 1) && !story.paths.offered(now, 1) && story.paths.offered(now, 3));
        assert!(!story.paths.offered(now, 2) && story.paths.is_newest(3) && !story.paths.is_newest(1));
        assert!(story.paths.offered(now, 0) && story.paths.is_newest(0), "of one who does not count");
        assert!(!story.paths.asked(now), "one has just begun");
        story.until(2_000);
        assert!(story.paths.asked(story.now()));
    }
}
