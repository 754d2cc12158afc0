use super::*;
use crate::rate::Rate;
use std::collections::VecDeque;
use std::time::Duration;

/// A report that has just been made.
const FRESH: Duration = Duration::ZERO;
const PEER: TransportId = TransportId::from_bytes([1; 32]);

fn full(degree: Degree) -> Given {
    Given { rate: Rate::Full, degree }
}

/// A path that loses `share` in runs of `burst` by itself, and carries so many kb/s before its queue fills.
struct Path {
    share: f32,
    burst: f32,
    kilobits: f32,
    /// The longest queue that it has room for.
    queue_ms: f32,
    queued_ms: f32,
    /// Its shortest queue of the last half minute is what a receiver takes for none.
    lately_ms: VecDeque<f32>,
}

impl Path {
    fn second(&mut self, load: Load) -> Reception {
        let sent = load.kilobits();
        let through = (self.kilobits / sent).min(1.0);
        self.queued_ms = (self.queued_ms + (sent / self.kilobits - 1.0) * 1_000.0).clamp(0.0, self.queue_ms);
        let full = self.queued_ms >= self.queue_ms;
        let kept = (1.0 - self.share) * if full { through } else { 1.0 };
        self.lately_ms.push_back(self.queued_ms);
        if self.lately_ms.len() > 32 {
            self.lately_ms.pop_front();
        }
        let shortest_ms = self.lately_ms.iter().copied().fold(f32::INFINITY, f32::min);
        // What is measured in a second is never quite the same.
        let noise = (self.lately_ms.len() * 7 + (self.queued_ms * 10.0) as usize) % 5;
        let queue_ms = self.queued_ms - shortest_ms + noise as f32;
        Reception { loss: 1.0 - kept + 0.01 * (noise as f32 - 2.0) * self.share, burst: self.burst, queue_ms }
    }

    fn new(share: f32, burst: f32, kilobits: f32) -> Self {
        Self { share, burst, kilobits, queue_ms: 250.0, queued_ms: 0.0, lately_ms: VecDeque::from([0.0]) }
    }
}

/// What is sent in each of so many seconds, and the share that is lost of it.
fn seconds(path: &mut Path, seconds: u64, protection: &mut Protection, from: Instant) -> Vec<(Load, f32)> {
    (0..seconds)
        .map(|second| {
            let (sent, report) = (protection.load, path.second(protection.load));
            protection.report(from + Duration::from_secs(second), PEER, FRESH, report);
            (sent, report.loss)
        })
        .collect()
}

fn loads(path: &mut Path, count: u64, protection: &mut Protection, from: Instant) -> Vec<Load> {
    seconds(path, count, protection, from).into_iter().map(|(load, _)| load).collect()
}

fn share_of(load: Load, loads: &[Load]) -> f32 {
    loads.iter().filter(|&&each| each == load).count() as f32 / loads.len() as f32
}

fn mean(of: &[(Load, f32)]) -> f32 {
    of.iter().map(|(_, lost)| lost).sum::<f32>() / of.len() as f32
}

fn changes(of: &[(Load, f32)]) -> usize {
    of.windows(2).filter(|pair| pair[0].0 != pair[1].0).count()
}

#[test]
fn loss_is_answered_at_once_and_the_answer_ends_five_seconds_after_it() {
    let (mut protection, began) = (Protection::default(), Instant::now());
    let report = |protection: &mut Protection, second: u64, loss: f32, burst: f32| {
        protection.report(began + Duration::from_secs(second), PEER, FRESH, Reception { loss, burst, queue_ms: 1.0 })
    };
    assert_eq!(report(&mut protection, 0, 0.0, 0.0), None);
    assert_eq!(report(&mut protection, 1, 0.03, 1.1), Some(full(Degree::Light)));
    assert_eq!(report(&mut protection, 2, 0.2, 3.0), Some(full(Degree::Heavy)));
    let changes: Vec<_> = (3..10).map(|second| report(&mut protection, second, 0.0, 0.0)).collect();
    assert_eq!(changes, [None, None, None, None, Some(full(Degree::None)), None, None]);
}

#[test]
fn on_a_wide_path_heavy_loss_keeps_its_answer_even_though_it_came_all_of_a_sudden() {
    let mut protection = Protection::default();
    let began = Instant::now();
    loads(&mut Path::new(0.0, 0.0, 1_000.0), 10, &mut protection, began);
    protection.report(
        began + Duration::from_secs(10),
        PEER,
        FRESH,
        Reception { loss: 0.05, burst: 2.0, queue_ms: 0.0 },
    );
    let mut path = Path::new(0.4, 8.0, 1_000.0);
    let answer = loads(&mut path, 60, &mut protection, began + Duration::from_secs(11));
    assert!(share_of(Load::Heavy, &answer) > 0.9, "{answer:?}");
    assert!(share_of(Load::Heavy, &answer[8..]) == 1.0, "{answer:?}");
}

#[test]
fn behind_a_bottleneck_it_backs_off_instead_of_adding() {
    let mut path = Path::new(0.1, 2.0, 150.0);
    let mut protection = Protection::default();
    let answer = loads(&mut path, 300, &mut protection, Instant::now());
    let narrow = share_of(Load::Full, &answer) + share_of(Load::Light, &answer);
    assert!(narrow > 0.85, "what the path bears, nearly always: {answer:?}");
    assert!(share_of(Load::Light, &answer) > 0.5, "and that much is given: {answer:?}");
    // The attempts become rarer.
    let too_much = |part: &[Load]| part.iter().filter(|load| **load > Load::Light).count();
    assert!(too_much(&answer[200..]) <= too_much(&answer[..100]), "{answer:?}");
}

#[test]
fn the_worst_receiver_is_served_and_the_narrowest_path_is_spared() {
    let (mut protection, now) = (Protection::default(), Instant::now());
    let other = TransportId::from_bytes([2; 32]);
    protection.report(now, PEER, FRESH, Reception { loss: 0.03, burst: 1.0, queue_ms: 0.0 });
    assert_eq!(
        protection.report(now, other, FRESH, Reception { loss: 0.3, burst: 3.0, queue_ms: 0.0 }),
        Some(full(Degree::Heavy))
    );
    for second in 1..4 {
        let narrow = Reception { loss: 0.03, burst: 1.0, queue_ms: 90.0 * second as f32 };
        protection.report(now + Duration::from_secs(second), PEER, FRESH, narrow);
    }
    assert!(protection.given().degree < Degree::Heavy, "{:?}", protection.given());
    protection.forget(now, PEER);
    assert_eq!(protection.given().degree, Degree::Heavy);
    assert_eq!(protection.forget(now, other), Some(full(Degree::None)));
}

#[test]
fn a_voice_that_is_too_much_for_the_path_takes_less_of_it_within_two_reports_and_hardly_ever_more() {
    for (kilobits, bears) in [(100.0, Load::Reduced), (75.0, Load::Less), (52.0, Load::Least)] {
        let (mut path, mut protection) = (Path::new(0.0, 0.0, kilobits), Protection::default());
        let sent = seconds(&mut path, 600, &mut protection, Instant::now());
        assert!(sent[3].0 <= bears, "{sent:?}");
        let later = &sent[20..];
        assert!(mean(later) < 0.02, "{kilobits} kb/s: {} lost: {later:?}", mean(later));
        assert!(changes(&sent[400..]) <= changes(&sent[..200]).min(6), "{kilobits} kb/s: {sent:?}");
        let loads: Vec<Load> = later.iter().map(|(load, _)| *load).collect();
        assert!(share_of(bears, &loads) > 0.8, "{kilobits} kb/s: {loads:?}");
    }
}

#[test]
fn what_is_lost_by_chance_as_well_keeps_the_rate_where_the_path_bears_it() {
    let (mut path, mut protection) = (Path::new(0.1, 1.1, 100.0), Protection::default());
    let sent = seconds(&mut path, 300, &mut protection, Instant::now());
    assert!(mean(&sent[20..]) < 0.12, "{}: {sent:?}", mean(&sent[20..]));
    assert!(sent[5..].iter().filter(|(load, _)| *load > Load::Reduced).count() < 30, "{sent:?}");
}

#[test]
fn a_path_that_becomes_wider_is_used_again() {
    let (mut path, mut protection, began) = (Path::new(0.0, 0.0, 100.0), Protection::default(), Instant::now());
    loads(&mut path, 60, &mut protection, began);
    path.kilobits = 1_000.0;
    let sent = loads(&mut path, 90, &mut protection, began + Duration::from_secs(60));
    let back = sent.iter().position(|load| *load == Load::Full).expect("all of it");
    assert!(sent[back..].iter().all(|load| *load == Load::Full), "{sent:?}");
}

#[test]
fn a_path_that_becomes_narrow_in_the_middle_of_a_call_is_answered_and_so_is_one_that_delays_without_end() {
    for queue_ms in [250.0, 5_000.0] {
        let (mut path, mut protection, began) = (Path::new(0.0, 0.0, 1_000.0), Protection::default(), Instant::now());
        path.queue_ms = queue_ms;
        loads(&mut path, 60, &mut protection, began);
        path.kilobits = 100.0;
        let sent = loads(&mut path, 10, &mut protection, began + Duration::from_secs(60));
        assert!(sent[4] <= Load::Reduced, "{queue_ms} ms: {sent:?}");
    }
}

/// A policer: what is too much is dropped, and nothing waits. That shows when copies make it worse.
#[test]
fn a_path_that_drops_without_a_queue_is_found_out_by_the_copies() {
    let (mut path, mut protection) = (Path::new(0.0, 0.0, 100.0), Protection::default());
    path.queue_ms = 0.0;
    path.burst = 3.0;
    let sent = seconds(&mut path, 120, &mut protection, Instant::now());
    assert!(mean(&sent[20..]) < 0.15, "{}: {sent:?}", mean(&sent[20..]));
}

#[test]
fn loss_without_a_queue_never_lowers_the_rate() {
    for (share, burst) in [(0.02, 1.0), (0.2, 1.2), (0.4, 8.0)] {
        let (mut path, mut protection) = (Path::new(share, burst, 1_000.0), Protection::default());
        let sent = loads(&mut path, 300, &mut protection, Instant::now());
        assert!(sent.iter().all(|load| *load >= Load::Full), "{share}: {sent:?}");
    }
}

/// Somebody else's packets fill a queue that ours go through, too: whatever we send, it stays as it is.
#[test]
fn a_queue_that_others_make_costs_the_rate_a_few_seconds_a_minute_at_most() {
    let (mut protection, began) = (Protection::default(), Instant::now());
    let mut lowered = 0;
    for second in 0..600 {
        let at = began + Duration::from_secs(second);
        let clear = second < 5;
        let (loss, queue_ms) = if clear { (0.0, 1.0) } else { (0.05, 200.0 + (second % 7) as f32) };
        protection.report(at, PEER, FRESH, Reception { loss, burst: 1.0, queue_ms });
        lowered += u32::from(protection.given().rate < Rate::Full);
    }
    assert!(lowered > 0 && lowered < 600 / 5, "{lowered} of 600 s");
}

#[test]
fn seven_who_share_one_narrow_way_out_are_all_served_at_what_it_bears() {
    let (mut path, mut protection, began) = (Path::new(0.0, 0.0, 100.0), Protection::default(), Instant::now());
    let (mut lost, mut rates) = (0.0, Vec::new());
    for second in 0..300 {
        let report = path.second(protection.load);
        for peer in 0..7 {
            let now = began + Duration::from_secs(second) + Duration::from_millis(130 * peer);
            protection.report(now, TransportId::from_bytes([peer as u8; 32]), FRESH, report);
        }
        rates.push(protection.load);
        lost += if second >= 20 { report.loss } else { 0.0 };
    }
    assert!(lost / 280.0 < 0.02, "{lost}: {rates:?}");
    assert!(share_of(Load::Reduced, &rates) > 0.6, "{rates:?}");
}

/// Whoever has little room itself, or says so, gets what all get, until more than half say so.
#[test]
fn the_rate_is_that_of_more_than_half_of_the_receivers() {
    let peers: Vec<TransportId> = (0..7).map(|n| TransportId::from_bytes([n; 32])).collect();
    for (receivers, narrow) in [(1, 1), (2, 1), (2, 2), (3, 1), (3, 2), (7, 3), (7, 4)] {
        let (mut protection, began, mut lowered) = (Protection::default(), Instant::now(), false);
        for second in 0..20 {
            for (n, peer) in peers[..receivers].iter().enumerate() {
                let crowded = Reception { loss: 0.3, burst: 1.0, queue_ms: 240.0 };
                let report = if n < narrow { crowded } else { Reception::default() };
                let now = began + Duration::from_secs(second) + Duration::from_millis(100 * n as u64);
                protection.report(now, *peer, FRESH, report);
                lowered |= protection.given().rate < Rate::Full;
            }
        }
        assert_eq!(lowered, 2 * narrow > receivers, "{narrow} of {receivers}: {:?}", protection.given());
    }
}

/// How a path's reports come, and whether they are judged by when they were made and missed where none comes.
#[derive(Clone, Copy)]
struct Manner {
    /// While packets wait for longer than this nothing else gets through; then everything does.
    stuck_ms: f32,
    judged: bool,
}

/// The same as [`seconds`] where reports, or what has to come back for them, go through the same queue.
fn seconds_stuck(
    path: &mut Path,
    range: std::ops::Range<u64>,
    protection: &mut Protection,
    began: Instant,
    manner: Manner,
) -> Vec<(Load, f32)> {
    let mut held: Vec<(u64, Reception)> = Vec::new();
    range
        .map(|second| {
            let now = began + Duration::from_secs(second);
            let (sent, report) = (protection.load, path.second(protection.load));
            held.push((second, report));
            if path.queued_ms < manner.stuck_ms {
                // In whatever order: here the newest first.
                for (n, (made, report)) in held.drain(..).rev().enumerate() {
                    let age = if manner.judged { Duration::from_secs(second - made) } else { FRESH };
                    protection.report(now + Duration::from_millis(n as u64), PEER, age, report);
                }
            }
            if manner.judged {
                protection.listen(now + Duration::from_millis(500), PEER, Some(25.0 + path.queued_ms));
            }
            (sent, report.loss)
        })
        .collect()
}

#[test]
fn reports_that_wait_in_the_same_queue_are_missed_and_count_for_the_time_when_they_were_made() {
    let run = |judged: bool| {
        let (mut path, mut protection, began) = (Path::new(0.0, 0.0, 1_000.0), Protection::default(), Instant::now());
        let manner = Manner { stuck_ms: 100.0, judged };
        seconds_stuck(&mut path, 0..30, &mut protection, began, manner);
        path.kilobits = 100.0;
        let narrow = seconds_stuck(&mut path, 30..60, &mut protection, began, manner);
        path.kilobits = 1_000.0;
        (narrow, seconds_stuck(&mut path, 60..105, &mut protection, began, manner))
    };
    let (narrow, wide) = run(true);
    assert!(narrow[..6].iter().any(|(load, _)| *load <= Load::Reduced), "{narrow:?}");
    assert!(mean(&narrow[8..]) < 0.05, "{}: {narrow:?}", mean(&narrow[8..]));
    let back = wide.iter().position(|(load, _)| *load == Load::Full);
    assert!(back.is_some_and(|second| second <= 32), "{wide:?}");
    // As if each had been made when it came, and none were missed, the voice drowns.
    let (narrow, _) = run(false);
    assert!(mean(&narrow[8..]) > 0.25, "{}: {narrow:?}", mean(&narrow[8..]));
}

#[test]
fn a_bunch_of_old_reports_changes_nothing() {
    let (mut protection, began) = (Protection::default(), Instant::now());
    for second in 0..10 {
        protection.report(began + Duration::from_secs(second), PEER, FRESH, Reception::default());
    }
    let now = began + Duration::from_secs(20);
    let lossy = Reception { loss: 0.4, burst: 3.0, queue_ms: 240.0 };
    for (n, age) in [9, 8, 7, 6, 5, 4, 3].into_iter().enumerate() {
        let at = now + Duration::from_millis(n as u64);
        assert_eq!(protection.report(at, PEER, Duration::from_secs(age), lossy), None, "{age} s old");
    }
    // One that was made after all of them counts, and those that come after it and are older do not.
    assert_eq!(protection.report(now + Duration::from_secs(1), PEER, FRESH, Reception::default()), None);
    let late = Reception { queue_ms: 0.0, ..lossy };
    assert_eq!(protection.report(now + Duration::from_secs(2), PEER, Duration::from_millis(1_500), late), None);
    assert!(protection.report(now + Duration::from_secs(3), PEER, FRESH, late).is_some(), "a fresh one");
}

/// A clock that is off is off all the time.
#[test]
fn clocks_that_are_apart_make_no_report_old() {
    let (mut protection, began) = (Protection::default(), Instant::now());
    let report = Reception { loss: 0.2, burst: 3.0, queue_ms: 0.0 };
    assert!(protection.report(began, PEER, Duration::from_secs(30), report).is_some());
    for second in 1..20 {
        let age = Duration::from_secs(30) + Duration::from_millis(second * 3);
        protection.report(began + Duration::from_secs(second), PEER, age, Reception::default());
    }
    assert_eq!(protection.given(), full(Degree::None), "they were heard");
}

#[test]
fn missing_reports_lower_the_rate_only_while_round_trips_are_longer_than_they_were() {
    let after_silence = |round_trip_ms: Option<f32>, connected: bool| {
        let (mut protection, began) = (Protection::default(), Instant::now());
        for second in 0..20 {
            let now = began + Duration::from_secs(second);
            if second < 10 {
                protection.report(now, PEER, FRESH, Reception::default());
                protection.listen(now, PEER, Some(30.0));
            } else if connected {
                protection.listen(now, PEER, round_trip_ms);
            } else {
                protection.excuse(now, PEER);
            }
        }
        protection.given().rate
    };
    assert_eq!(after_silence(Some(200.0), true), Rate::Least);
    assert_eq!(after_silence(None, true), Rate::Least, "nothing speaks against it");
    assert_eq!(after_silence(Some(50.0), true), Rate::Full, "something else holds them up");
    assert_eq!(after_silence(Some(200.0), false), Rate::Full, "none could come");
}
