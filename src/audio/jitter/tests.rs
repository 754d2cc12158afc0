//! A sender, a network and a speaker in virtual time.

use super::*;

/// What the speaker got for one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    Frame(u32),
    Concealed,
    Nothing,
}

struct Chance(u64);

impl Chance {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// The receiving side: a buffer, the lane behind it (all silence: every correction succeeds at once) and a speaker.
struct Receiver {
    buffer: JitterBuffer,
    began: Instant,
    waiting: Vec<(f64, u32, u32)>,
    /// Copies on their way, in the order of their arrival: when they arrive, and which frame they are.
    copies: Vec<(f64, u32)>,
    now_ms: f64,
    len: usize,
    heard: Vec<(f64, Heard)>,
    buffer_ms: Vec<f32>,
    /// For each frame: how long after it was spoken it is played.
    delays_ms: Vec<f64>,
    /// Whether a correction is done at once, or, as in speech, in part and at every other attempt.
    pauses: bool,
    attempts: u32,
    /// How much the speaker takes at a time, in quanta of 2.5 ms.
    quanta: usize,
    /// Frames that are not sent, of which those around tell.
    rest: std::ops::Range<u32>,
}

impl Receiver {
    fn new(phase_ms: f64) -> Self {
        let began = Instant::now();
        Self {
            buffer: JitterBuffer::new(began),
            began,
            waiting: Vec::new(),
            copies: Vec::new(),
            now_ms: phase_ms,
            len: 0,
            heard: Vec::new(),
            buffer_ms: Vec::new(),
            delays_ms: Vec::new(),
            pauses: true,
            attempts: 0,
            quanta: FRAME / QUANTUM,
            rest: 0..0,
        }
    }

    fn instant(&self, ms: f64) -> Instant {
        self.began + Duration::from_secs_f64((ms + 1_000.0) / 1_000.0)
    }

    /// A packet on its way: arrives at `ms`, carries `timestamp` and the number `n`.
    fn send(&mut self, ms: f64, timestamp: u32, n: u32) {
        self.waiting.push((ms, timestamp, n));
    }

    /// Frames of numbers `range`, one every 10 ms of the sender's clock; `delay` says how long each takes (or that it is lost).
    fn send_all(&mut self, range: std::ops::Range<u32>, clock_ppm: f64, delay: impl FnMut(u32) -> Option<f64>) {
        self.send_from(0, range, clock_ppm, delay);
    }

    fn send_from(
        &mut self,
        first_timestamp: u32,
        range: std::ops::Range<u32>,
        clock_ppm: f64,
        mut delay: impl FnMut(u32) -> Option<f64>,
    ) {
        for n in range {
            let sent = f64::from(n) * 10.0 * (1.0 - clock_ppm * 1.0e-6);
            if let Some(delay) = delay(n) {
                self.send(sent + delay, first_timestamp.wrapping_add(n.wrapping_mul(480)), n);
            }
        }
    }

    fn burst_ms(&self) -> f64 {
        self.quanta as f64 * QUANTUM_MS
    }

    /// Plays until `ms`, one burst after the other.
    fn play_until(&mut self, ms: f64) {
        self.waiting.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut arriving = std::mem::take(&mut self.waiting).into_iter().peekable();
        while self.now_ms < ms {
            while let Some((at, timestamp, n)) = arriving.next_if(|(at, ..)| *at <= self.now_ms) {
                self.tell_of_rest(at, timestamp, n);
                self.buffer.insert(self.instant(at), timestamp, FRAME, &n.to_be_bytes());
            }
            let here = self.copies.partition_point(|(at, _)| *at <= self.now_ms);
            for (at, n) in self.copies.drain(..here).collect::<Vec<_>>() {
                self.buffer.repair(self.instant(at), n * 480, 10 * 480, &n.to_be_bytes());
            }
            for quantum in 0..self.quanta {
                self.tick(quantum);
            }
            self.buffer_ms.push(self.buffer.buffer_ms());
            self.now_ms += self.burst_ms();
        }
        self.waiting.extend(arriving);
    }

    fn tick(&mut self, quantum: usize) {
        let now = self.instant(self.now_ms);
        let moment = Moment { now, rendered: quantum * QUANTUM, burst: self.quanta * QUANTUM };
        if self.len < QUANTUM {
            let ahead = self.len;
            let heard = heard(self.buffer.pull(moment, ahead));
            self.take(moment, heard);
            if let Some(correction) = self.buffer.correction(now) {
                self.correct(moment, correction);
            }
        }
        self.len -= QUANTUM;
    }

    fn take(&mut self, moment: Moment, heard: Heard) {
        if let Heard::Frame(n) = heard {
            let ahead_ms = f64::from(milliseconds((moment.rendered + self.len) as f32));
            self.delays_ms.push(self.now_ms - f64::from(n) * 10.0 + ahead_ms);
        }
        // Silence is 2.5 ms at a time; once a burst is enough to tell.
        if self.heard.last() != Some(&(self.now_ms, Heard::Nothing)) {
            self.heard.push((self.now_ms, heard));
        }
        self.len += if heard == Heard::Nothing { QUANTUM } else { FRAME };
    }

    fn correct(&mut self, moment: Moment, correction: Correction) {
        self.attempts += 1;
        let at_most = if self.pauses { correction.at_most } else { correction.at_most.min(FRAME / 2) };
        if !self.pauses && correction.urgency != Urgency::Now && !self.attempts.is_multiple_of(2) {
            return;
        }
        match correction.change {
            Change::Add => self.len += at_most,
            Change::Remove => {
                if self.len < at_most + QUANTUM && self.buffer.next_waits() {
                    let heard = heard(self.buffer.pull_early(moment, self.len));
                    self.take(moment, heard);
                }
                if self.len < at_most + QUANTUM {
                    return;
                }
                self.len -= at_most;
            }
        }
        self.buffer.corrected(moment.now, correction.change, at_most);
    }

    fn heard_after(&self, ms: f64) -> Vec<Heard> {
        self.heard.iter().filter(|(at, _)| *at >= ms).map(|(_, heard)| *heard).collect()
    }

    fn concealed_after(&self, ms: f64) -> usize {
        self.heard_after(ms).iter().filter(|heard| **heard == Heard::Concealed).count()
    }

    /// Every frame that was played, which must be in order.
    fn frames(&self) -> Vec<u32> {
        let played: Vec<u32> = self
            .heard
            .iter()
            .filter_map(|(_, heard)| if let Heard::Frame(n) = heard { Some(*n) } else { None })
            .collect();
        assert!(played.windows(2).all(|w| w[0] < w[1]), "out of order or played twice");
        played
    }

    fn largest_buffer_after(&self, ms: usize) -> f32 {
        self.buffer_ms[(ms as f64 / self.burst_ms()) as usize..].iter().copied().fold(0.0, f32::max)
    }
}

fn heard(pull: Pull<'_>) -> Heard {
    match pull {
        Pull::Frame(bytes) => Heard::Frame(u32::from_be_bytes(bytes.try_into().expect("four bytes"))),
        Pull::Conceal => Heard::Concealed,
        Pull::Silence => Heard::Nothing,
    }
}

#[test]
fn on_a_quiet_network_it_settles_at_once_and_never_stirs_again() {
    for phase in 0..20 {
        let mut chance = Chance(phase);
        let mut receiver = Receiver::new(phase as f64 * 0.5);
        receiver.send_all(0..6_000, 0.0, |_| Some(0.2 + 0.4 * chance.next()));
        receiver.play_until(60_000.0);
        let totals = receiver.buffer.totals();
        assert_eq!((totals.concealed, totals.late, totals.lost, totals.duplicates), (0, 0, 0, 0), "phase {phase}");
        assert!(totals.corrected <= FRAME as u64, "phase {phase}: {}", totals.corrected);
        // Whatever was corrected was corrected in the first three seconds.
        let frames = receiver.frames();
        assert_eq!(frames[0], 0);
        assert!(frames.windows(2).all(|w| w[1] == w[0] + 1), "phase {phase}: everything is played");
        let settled: Vec<f32> = receiver.buffer_ms[300..].to_vec();
        let (low, high) = (settled.iter().copied().fold(f32::MAX, f32::min), receiver.largest_buffer_after(3_000));
        assert!(high - low < 1.0 && high < 20.0, "phase {phase}: {low}–{high} ms");
    }
}

/// What a card wants at once is what a packet may have to wait for, besides the margin; nothing more.
#[test]
fn the_less_a_card_wants_at_once_the_less_a_packet_waits() {
    for quanta in [1, 2, 4, 8] {
        for phase in 0..20 {
            let mut chance = Chance(phase);
            let mut receiver = Receiver { quanta, ..Receiver::new(phase as f64 * 0.5) };
            receiver.send_all(0..3_000, 0.0, |_| Some(0.2 + 0.4 * chance.next()));
            receiver.play_until(29_000.0);
            let totals = receiver.buffer.totals();
            assert_eq!((totals.concealed, totals.late, totals.lost), (0, 0, 0), "{quanta} quanta, phase {phase}");
            assert!(totals.corrected <= FRAME as u64, "{quanta} quanta, phase {phase}: {}", totals.corrected);
            // A bin of the measurement and its noise, the margin, a burst, and what is too little to be taken out.
            let most = (3.0 + MARGIN_MS + 1.1 * receiver.burst_ms() + QUANTUM_MS) as f32;
            let waits = receiver.largest_buffer_after(5_000);
            assert!(waits <= most, "{quanta} quanta, phase {phase}: {waits} ms, {most} at most");
        }
    }
}

#[test]
fn lost_frames_are_concealed_one_for_one_and_cost_no_delay() {
    let mut chance = Chance(5);
    let mut receiver = Receiver::new(4.0);
    receiver.send_all(0..6_000, 0.0, |_| (chance.next() > 0.1).then_some(20.0));
    receiver.play_until(60_000.0);
    let totals = receiver.buffer.totals();
    assert!(totals.lost > 500, "{}", totals.lost);
    assert!(totals.concealed.abs_diff(totals.lost) < 25, "{totals:?}");
    assert_eq!(totals.late, 0);
    assert_eq!(receiver.frames().len() as u64, totals.received - receiver.buffer.store.len() as u64);
    assert!(receiver.largest_buffer_after(5_000) < 30.0, "{}", receiver.largest_buffer_after(5_000));
}

#[test]
fn frames_that_overtake_one_another_are_put_in_order() {
    let mut chance = Chance(6);
    let mut receiver = Receiver::new(3.0);
    // One in five takes 25 ms longer and is overtaken by two others.
    receiver.send_all(0..6_000, 0.0, |_| Some(if chance.next() < 0.2 { 45.0 } else { 20.0 }));
    receiver.play_until(60_000.0);
    let late_to_learn = receiver.heard_after(10_000.0);
    assert!(late_to_learn.iter().all(|heard| matches!(heard, Heard::Frame(_))), "nothing is missed any more");
    receiver.frames();
    assert!(receiver.largest_buffer_after(15_000) < 50.0);
}

#[test]
fn a_rough_network_is_learnt_and_a_smooth_one_again() {
    let mut chance = Chance(7);
    let mut receiver = Receiver::new(0.0);
    let mut last = 0.0_f64;
    receiver.send_all(0..12_000, 0.0, |n| {
        // A queue: up to 60 ms more for half a minute, no overtaking.
        let jitter = if (3_000..6_000).contains(&n) { 60.0 * chance.next() } else { 1.0 };
        let at = (f64::from(n) * 10.0 + 10.0 + jitter).max(last);
        last = at;
        Some(at - f64::from(n) * 10.0)
    });
    receiver.play_until(120_000.0);
    assert_eq!(receiver.concealed_after(100_000.0), 0);
    let rough = receiver.heard.iter().filter(|(at, _)| (35_000.0..60_000.0).contains(at));
    let missed = rough.filter(|(_, heard)| *heard == Heard::Concealed).count();
    assert!(missed < 25, "{missed} of 2,500 concealed on the rough stretch");
    assert!(receiver.largest_buffer_after(110_000) < 20.0, "{}", receiver.largest_buffer_after(110_000));
    assert!(receiver.buffer.jitter_ms() < 2.0, "{}", receiver.buffer.jitter_ms());
}

#[test]
fn a_stall_loses_nothing_and_its_delay_is_worked_off() {
    let mut receiver = Receiver::new(2.0);
    receiver
        .send_all(0..4_000, 0.0, |n| Some(if (1_000..1_008).contains(&n) { f64::from(1_008 - n) * 10.0 } else { 0.5 }));
    receiver.play_until(40_000.0);
    let frames = receiver.frames();
    assert!(frames.windows(2).all(|w| w[1] == w[0] + 1), "every frame of the stalled burst is played");
    assert!(receiver.concealed_after(0.0) <= 9);
    assert!(receiver.largest_buffer_after(10_000) > 25.0, "the delay grew");
    assert!(receiver.largest_buffer_after(25_000) < 20.0, "and came back: {}", receiver.largest_buffer_after(25_000));
}

#[test]
fn clocks_that_drift_apart_are_followed_for_minutes_without_missing_a_frame() {
    for ppm in [-200.0, -50.0, 50.0, 200.0] {
        let mut chance = Chance(8);
        let mut receiver = Receiver::new(5.0);
        receiver.send_all(0..60_100, ppm, |_| Some(20.0 + 2.0 * chance.next()));
        receiver.play_until(600_000.0);
        let totals = receiver.buffer.totals();
        assert_eq!((totals.late, totals.lost), (0, 0), "{ppm} ppm");
        assert_eq!(receiver.concealed_after(1_000.0), 0, "{ppm} ppm");
        let expected = (ppm.abs() * 1.0e-6 * 600_000.0 / 10.0) as u64;
        let corrected = totals.corrected / FRAME as u64;
        assert!(corrected.abs_diff(expected) <= 2, "{ppm} ppm: {corrected} for {expected}");
        assert!(receiver.largest_buffer_after(10_000) < 30.0, "{ppm} ppm: {}", receiver.largest_buffer_after(10_000));
        let frames = receiver.frames();
        assert!(frames.windows(2).all(|w| w[1] == w[0] + 1), "{ppm} ppm: nothing is skipped, time is stretched");
    }
}

#[test]
fn timestamps_that_wrap_are_nothing_special() {
    let mut receiver = Receiver::new(1.0);
    receiver.send_from(u32::MAX - 480 * 500 + 7, 0..2_000, 0.0, |_| Some(5.0));
    receiver.play_until(19_900.0);
    assert_eq!(receiver.buffer.totals().concealed, 0);
    assert_eq!(receiver.buffer.totals().late, 0);
    assert!(receiver.frames().len() > 1_980);
}

#[test]
fn a_sender_that_begins_again_is_heard_again_at_once() {
    let mut receiver = Receiver::new(1.0);
    receiver.send_from(3_000_000_000, 0..1_000, 0.0, |_| Some(5.0));
    receiver.send_from(123, 1_050..2_000, 0.0, |_| Some(5.0));
    receiver.play_until(19_900.0);
    let back = receiver.heard.iter().find(|(at, heard)| *at > 10_100.0 && matches!(heard, Heard::Frame(_)));
    let Some((at, Heard::Frame(first))) = back else { panic!("never heard again") };
    assert!(*at < 10_505.0 + 60.0 && *first <= 1_053, "at {at} ms, beginning with {first}");
    receiver.frames();
    assert_eq!(receiver.concealed_after(10_700.0), 0);
}

#[test]
fn after_an_outage_what_is_stale_is_thrown_away() {
    let mut receiver = Receiver::new(1.0);
    // Nothing arrives from 10 s to 15 s; then what was queued in the last 2.6 s comes at once.
    receiver.send_all(0..3_000, 0.0, |n| match n {
        1_000..1_240 => None,
        1_240..1_500 => Some(f64::from(1_500 - n) * 10.0),
        _ => Some(5.0),
    });
    receiver.play_until(30_000.0);
    let after = receiver.heard_after(15_000.0);
    let first = after.iter().find_map(|heard| if let Heard::Frame(n) = heard { Some(*n) } else { None });
    assert!(first.is_some_and(|n| n >= 1_460), "{first:?}");
    assert!(receiver.largest_buffer_after(15_300) < 60.0, "{}", receiver.largest_buffer_after(15_300));
    assert_eq!(receiver.buffer.totals().lost, 240);
    assert_eq!(receiver.concealed_after(15_500.0), 0);
    receiver.frames();
}

/// A rough network has taught it to wait long; but half a second that comes all at once is more than enough to begin with.
#[test]
fn what_comes_all_at_once_after_an_interruption_is_played_at_once() {
    let mut chance = Chance(3);
    let mut receiver = Receiver::new(1.0);
    let mut last = 0.0_f64;
    receiver.send_all(0..1_500, 0.0, |n| {
        let at = (f64::from(n) * 10.0 + 5.0 + 150.0 * chance.next()).max(last);
        last = if (1_000..1_053).contains(&n) { 10_530.0 } else { at };
        Some(last - f64::from(n) * 10.0)
    });
    receiver.play_until(10_500.0);
    assert_eq!(receiver.heard_after(10_480.0), [Heard::Nothing; 2], "the interruption is there");
    receiver.play_until(15_000.0);
    assert!(receiver.heard_after(10_540.0).iter().all(|heard| *heard != Heard::Nothing));
}

#[test]
fn a_packet_that_comes_twice_is_played_once() {
    let mut receiver = Receiver::new(1.0);
    receiver.send_all(0..500, 0.0, |_| Some(5.0));
    receiver.send_all(0..500, 0.0, |_| Some(9.0));
    receiver.play_until(5_000.0);
    assert_eq!(receiver.buffer.totals().duplicates, 499, "all but the last, which is still under way");
    assert_eq!(receiver.buffer.totals().late, 0);
    receiver.frames();
}

#[test]
fn when_a_voice_ends_it_is_concealed_for_a_tenth_of_a_second_and_then_silent() {
    let mut receiver = Receiver::new(1.0);
    receiver.send_all(0..500, 0.0, |_| Some(5.0));
    receiver.play_until(6_000.0);
    assert_eq!(receiver.buffer.totals().concealed, 10);
    assert_eq!(receiver.heard_after(5_200.0).iter().filter(|heard| **heard != Heard::Nothing).count(), 0);
}

#[test]
fn garbage_timestamps_neither_panic_nor_grow_anything() {
    let mut chance = Chance(9);
    let mut receiver = Receiver::new(1.0);
    for n in 0..20_000_u32 {
        let timestamp = (chance.next() * 4_294_967_296.0) as u32;
        let on_grid = if n % 3 == 0 { timestamp } else { timestamp / 480 * 480 };
        receiver.send(f64::from(n), on_grid, n);
    }
    receiver.play_until(20_100.0);
    assert!(receiver.largest_buffer_after(0) <= 3_300.0);
    // And an honest sender is understood afterwards.
    let at = receiver.now_ms;
    for n in 0..300_u32 {
        receiver.send(at + f64::from(n) * 10.0, n * 480, 1_000_000 + n);
    }
    receiver.play_until(at + 2_990.0);
    assert!(receiver.frames().iter().filter(|n| **n >= 1_000_000).count() > 280);
}

#[test]
fn a_spike_of_60_ms_is_forgotten_within_five_seconds() {
    for (phase, pauses) in (0..10).flat_map(|phase| [(phase, true), (phase, false)]) {
        let mut chance = Chance(phase);
        let mut receiver = Receiver { pauses, ..Receiver::new(phase as f64) };
        let spike = |n: u32| if (2_000..2_006).contains(&n) { 60.0 - f64::from(n - 2_000) * 10.0 } else { 0.0 };
        receiver.send_all(0..4_000, 0.0, |n| Some(20.0 + chance.next() + spike(n)));
        receiver.play_until(19_900.0);
        let before = receiver.delays_ms.last().copied().expect("something was played");
        receiver.play_until(25_060.0);
        let highest = receiver.delays_ms[1_990..].iter().copied().fold(0.0, f64::max);
        assert!(highest > before + 30.0, "it was felt: {highest} after {before}");
        let after = receiver.delays_ms.last().copied().expect("something was played");
        assert!(
            (after - before).abs() < 0.1,
            "five seconds later {after} ms after {before}, phase {phase}, pauses {pauses}"
        );
        assert!(receiver.concealed_after(0.0) <= 6);
    }
}

#[test]
fn copies_are_waited_for_while_they_mend_and_not_five_seconds_later() {
    let mut chance = Chance(11);
    let mut receiver = Receiver { pauses: false, ..Receiver::new(4.0) };
    let lost: Vec<bool> = (0..6_000_u32).map(|n| (1_000..3_000).contains(&n) && chance.next() < 0.2).collect();
    for n in 0..6_000_u32 {
        if lost[n as usize] {
            continue;
        }
        let at = f64::from(n) * 10.0 + 20.0;
        receiver.send(at, n * 480, n);
        for age in [4, 7, 10] {
            if let Some(earlier) = n.checked_sub(age).filter(|_| (1_000..3_000).contains(&n)) {
                receiver.copies.push((at, earlier));
            }
        }
    }
    receiver.play_until(9_900.0);
    let before = receiver.delays_ms.last().copied().expect("played");
    receiver.play_until(29_900.0);
    let during = receiver.delays_ms.last().copied().expect("played");
    assert!((85.0..100.1).contains(&(during - before)), "as long as the oldest copy takes: {before}, then {during}");
    let lost_then = lost[1_200..2_980].iter().filter(|lost| **lost).count();
    let made_up = receiver.concealed_after(12_200.0);
    assert!(lost_then > 300 && made_up < 8, "{made_up} of {lost_then} concealed");
    receiver.play_until(35_000.0);
    let after = receiver.delays_ms.last().copied().expect("played");
    assert!(after < before + 0.1, "five seconds after the last loss: {before}, then {after}");
    assert!(receiver.buffer.totals().repaired > 300, "{:?}", receiver.buffer.totals());
    receiver.frames();
}

mod links;
mod pauses;

/// Sender, network and speaker on one machine, or a laptop that swaps: what was not played then is over, and nothing is waited for later.
#[test]
fn a_machine_that_stood_still_goes_on_as_before() {
    let mut receiver = Receiver::new(0.0);
    receiver.quanta = 1;
    receiver.send_all(0..1_000, 0.0, |n| {
        let sent = f64::from(n) * 10.0;
        Some(if (4_990.0..5_120.0).contains(&sent) { 5_121.0 - sent } else { 1.0 })
    });
    receiver.play_until(5_000.0);
    let before = receiver.buffer_ms.last().copied().unwrap_or_default();
    receiver.now_ms = 5_120.0;
    receiver.play_until(9_900.0);
    let after = receiver.largest_buffer_after(5_400);
    assert!(after <= before + 2.6, "{before} ms waited before, {after} after");
}
