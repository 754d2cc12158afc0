//! What the network does to packets in time: the one measurement that the delay is set by.
//!
//! The *transit* of a packet is its arrival less the time that its frame was spoken, in ms on an arbitrary scale; only differences
//! mean anything. Moon, Kurose and Towsley ("Packet audio playout delay adjustment", Multimedia Systems 6, 1998) set the delay by a
//! quantile of what recent packets needed; so is it here, over two spans: half a minute, so that what comes back again and again is
//! expected, and two seconds, so that what begins now is followed. What came once is forgotten after the shorter: six late packets
//! are nothing in three thousand.
//!
//! The two clocks drift apart: at 100 ppm what took as long as ever seems to take 3 ms more, or less, than half a minute ago. The skew shows
//! in the least transits of one block and the next (Moon, Skelly and Towsley, "Estimation and removal of clock skew from network delay
//! measurements", INFOCOM 1999); old blocks are moved along.

/// Bins of 1 ms.
const BINS: usize = 2_048;
/// Bin of the lowest transit after the scale was moved: room below for a path that gets shorter.
const LOWEST_BIN: usize = 200;
/// The scale is moved when the lowest transit is further than this from there.
const LEEWAY: usize = 150;
/// The longer span: so many blocks,
const BLOCKS: usize = 8;
/// each of this length.
const BLOCK_MS: f64 = 4_000.0;
/// The blocks are added up this often, in ms.
const SUM_MS: f64 = 1_000.0;
/// Share of the longer span's packets that may come too late,
const LATE_LONG: f64 = 0.0129;
/// and how many packets it has at the least, also before it is full: what came once is no rule at the beginning either.
const FULL: u64 = 1_600;
/// From one block to the next clocks do not move the least transit by more, in ms: 600 ppm. What does is the network.
const MOST_STEP_MS: f64 = 2.5;
/// Packets of the shorter span: 2 s.
const RECENT: usize = 200;
/// Share of the shorter span's packets that may come too late.
const LATE_RECENT: f64 = 0.03;
/// The quantiles are taken anew after so many packets.
const EVALUATE_EVERY: u32 = 4;

/// Transits of the last half minute.
pub struct Delays {
    /// Transit of bin 0.
    origin_ms: f64,
    /// Counts by transit, one histogram a block.
    blocks: Box<[[u32; BINS]]>,
    /// The least transit of each block.
    least_ms: [Option<f64>; BLOCKS],
    /// The sum of all blocks, each moved to where its packets would be now.
    sum: Box<[u32; BINS]>,
    block: usize,
    block_began_ms: Option<f64>,
    /// When the sum was last made.
    summed_ms: f64,
    recent_ms: [f64; RECENT],
    next: usize,
    filled: usize,
    since: u32,
    needed_ms: Option<f64>,
    lowest_ms: f64,
}

impl Delays {
    /// Allocates everything it will ever need.
    pub fn new() -> Self {
        Self {
            origin_ms: 0.0,
            blocks: vec![[0; BINS]; BLOCKS].into_boxed_slice(),
            least_ms: [None; BLOCKS],
            sum: Box::new([0; BINS]),
            block: 0,
            block_began_ms: None,
            summed_ms: 0.0,
            recent_ms: [0.0; RECENT],
            next: 0,
            filled: 0,
            since: 0,
            needed_ms: None,
            lowest_ms: 0.0,
        }
    }

    /// Takes one packet's transit, which arrived at `at_ms`.
    pub fn feed(&mut self, at_ms: f64, transit_ms: f64) {
        let began = *self.block_began_ms.get_or_insert_with(|| {
            self.origin_ms = transit_ms - LOWEST_BIN as f64;
            at_ms
        });
        if at_ms - began >= BLOCK_MS {
            self.turn(at_ms);
        } else if at_ms - self.summed_ms >= SUM_MS {
            self.add_up(at_ms);
        }
        let least_ms = &mut self.least_ms[self.block];
        *least_ms = Some(least_ms.map_or(transit_ms, |least| least.min(transit_ms)));
        let bin = (transit_ms - self.origin_ms).clamp(0.0, (BINS - 1) as f64) as usize;
        for counts in [&mut self.blocks[self.block], &mut *self.sum] {
            counts[bin] = counts[bin].saturating_add(1);
        }
        self.recent_ms[self.next] = transit_ms;
        self.next = (self.next + 1) % RECENT;
        self.filled = (self.filled + 1).min(RECENT);
        self.since += 1;
        if self.since >= EVALUATE_EVERY || self.filled < RECENT {
            self.since = 0;
            self.evaluate();
        }
    }

    /// Begins the next block in the place of the oldest.
    fn turn(&mut self, now_ms: f64) {
        self.block = (self.block + 1) % BLOCKS;
        self.block_began_ms = Some(now_ms);
        self.least_ms[self.block] = None;
        self.blocks[self.block].fill(0);
        self.add_up(now_ms);
        let Some(lowest) = self.sum.iter().position(|count| *count > 0) else { return };
        if lowest.abs_diff(LOWEST_BIN) > LEEWAY {
            self.move_scale(lowest);
            self.add_up(now_ms);
        }
    }

    /// Adds the blocks up, the newest first, each as if the clocks had not drifted apart since.
    fn add_up(&mut self, now_ms: f64) {
        self.summed_ms = now_ms;
        self.sum.fill(0);
        let (mut newer_ms, mut moved_ms) = (None, 0.0);
        for back in 0..BLOCKS {
            let block = (self.block + BLOCKS - back) % BLOCKS;
            if let (Some(newer), Some(least)) = (newer_ms, self.least_ms[block])
                && f64::abs(newer - least) <= MOST_STEP_MS
            {
                moved_ms += newer - least;
            }
            // The least of a few packets says little.
            let whole = back > 0 || self.block_began_ms.is_some_and(|began| now_ms - began >= SUM_MS);
            newer_ms = self.least_ms[block].filter(|_| whole).or(newer_ms);
            add_moved(&mut self.sum, &self.blocks[block], moved_ms.round() as i64);
        }
    }

    /// Makes `lowest` the lowest bin.
    fn move_scale(&mut self, lowest: usize) {
        let by = lowest as i64 - LOWEST_BIN as i64;
        self.origin_ms += by as f64;
        for counts in &mut self.blocks {
            let before = *counts;
            counts.fill(0);
            add_moved(counts, &before, -by);
        }
    }

    fn evaluate(&mut self) {
        let total: u64 = self.sum.iter().map(|count| u64::from(*count)).sum();
        let low = self.sum.iter().position(|count| *count > 0).unwrap_or(0);
        let mut late = 0;
        let above = |(_, count): &(usize, &u32)| {
            late += u64::from(**count);
            late as f64 > total.max(FULL) as f64 * LATE_LONG
        };
        // None where all that came so far may be too late: then the shorter span decides.
        let high = self.sum.iter().enumerate().rev().find(above).map_or(low, |(high, _)| high);
        let mut recent = self.recent_ms;
        let recent = &mut recent[..self.filled];
        let late = (self.filled as f64 * LATE_RECENT) as usize;
        let (_, now, _) = recent.select_nth_unstable_by(self.filled - 1 - late, f64::total_cmp);
        self.needed_ms = Some(now.max(self.origin_ms + high as f64));
        self.lowest_ms = self.origin_ms + low as f64;
    }

    /// The transit that nearly all packets stay below; `None` before the first.
    pub fn needed_ms(&self) -> Option<f64> {
        self.needed_ms
    }

    /// The shortest transit.
    pub fn lowest_ms(&self) -> f64 {
        self.lowest_ms
    }

    /// How much longer even the fastest packet of the last half second was under way than the fastest of the last half minute: a queue, which
    /// makes all of them wait (Nichols and Jacobson, "Controlling queue delay", ACM Queue 10, 2012). Jitter lets some through.
    pub fn queue_ms(&self) -> f32 {
        const MOMENTS: usize = 50;
        let count = self.filled.min(MOMENTS);
        let recent = (1..=count).map(|back| self.recent_ms[(self.next + RECENT - back) % RECENT]);
        recent.reduce(f64::min).map_or(0.0, |least| (least - self.lowest_ms).max(0.0) as f32)
    }

    /// Whether there is enough to go by: half the shorter span.
    pub fn is_settled(&self) -> bool {
        self.filled >= RECENT / 2
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        for counts in self.blocks.iter_mut().chain(std::iter::once(&mut *self.sum)) {
            counts.fill(0);
        }
        self.least_ms = [None; BLOCKS];
        (self.block_began_ms, self.needed_ms) = (None, None);
        (self.next, self.filled, self.since) = (0, 0, 0);
    }
}

/// Adds counts up, moved by so many bins; what falls off an end stays in its last.
fn add_moved(sum: &mut [u32; BINS], counts: &[u32; BINS], by: i64) {
    for (bin, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let moved = (bin as i64 + by).clamp(0, BINS as i64 - 1) as usize;
        sum[moved] = sum[moved].saturating_add(*count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fed(transit_ms: impl Fn(u32) -> f64, packets: u32) -> Delays {
        let mut delays = Delays::new();
        for n in 0..packets {
            delays.feed(f64::from(n) * 10.0, transit_ms(n));
        }
        delays
    }

    fn needed(delays: &Delays) -> f64 {
        delays.needed_ms().expect("something was fed")
    }

    #[test]
    fn a_steady_path_needs_what_it_takes() {
        assert!((needed(&fed(|_| 7_000.5, 3_000)) - 7_000.5).abs() <= 1.0);
    }

    #[test]
    fn what_came_once_is_forgotten_after_two_seconds_and_what_comes_back_is_not() {
        let spike = |n: u32| if (1_000..1_006).contains(&n) { 60.0 - 10.0 * f64::from(n - 1_000) } else { 0.0 };
        assert!(needed(&fed(spike, 1_210)) <= 1.0);
        // Ten late packets every four seconds: one in forty.
        let again = |n: u32| if n % 400 < 10 { 60.0 } else { 0.0 };
        assert!(needed(&fed(again, 3_399)) >= 60.0);
    }

    #[test]
    fn a_change_for_the_worse_is_followed_within_a_moment_and_one_for_the_better_within_half_a_minute() {
        assert!(needed(&fed(|n| if n < 2_000 { 0.0 } else { 30.0 }, 2_010)) >= 30.0);
        assert!(needed(&fed(|n| if n < 2_000 { 30.0 } else { 0.0 }, 5_210)) <= 1.0);
    }

    #[test]
    fn clocks_that_drift_for_hours_move_the_scale_along() {
        for ppm in [-500.0, -100.0, 100.0, 500.0] {
            let delays = fed(|n| f64::from(n) * 10.0 * ppm * 1e-6, 720_000);
            let now = 719_999.0 * 10.0 * ppm * 1e-6;
            assert!((needed(&delays) - now).abs() < 20.0, "{} after {now}", needed(&delays));
        }
    }

    #[test]
    fn what_the_clocks_do_is_not_taken_for_jitter() {
        for ppm in [-500.0, -100.0, 100.0, 500.0] {
            // One packet in ten is up to 1 ms late.
            let delays = fed(|n| f64::from(n) * 10.0 * ppm * 1e-6 + f64::from(n % 10) * 0.1, 6_000);
            let waited = needed(&delays) - 5_999.0 * 10.0 * ppm * 1e-6;
            // In a block's 4 s clocks 500 ppm apart gain 2 ms.
            assert!((-0.5..3.5).contains(&waited), "{ppm} ppm: {waited} ms");
        }
    }

    #[test]
    fn a_clock_that_begins_to_drift_is_followed_too() {
        for ppm in [-450.0, 450.0] {
            let drift = |n: u32| f64::from(n.saturating_sub(2_000)) * 10.0 * ppm * 1e-6;
            let waited = needed(&fed(drift, 4_500)) - drift(4_499);
            assert!((-0.5..3.5).contains(&waited), "{ppm} ppm: {waited} ms");
        }
    }

    #[test]
    fn a_queue_shows_and_garbage_does_no_harm() {
        assert!((fed(|n| if n < 900 { 5.0 } else { 45.0 }, 1_000).queue_ms() - 40.0).abs() < 1.1);
        let jitter = |n: u32| 5.0 + f64::from(n.wrapping_mul(2_654_435_761) >> 16) / 100.0;
        assert!(fed(jitter, 1_000).queue_ms() < 60.0, "jitter alone is no queue");
        let delays = fed(|n| f64::from(n.wrapping_mul(2_654_435_761)) - 2.0e9, 20_000);
        assert!(delays.needed_ms().is_some_and(f64::is_finite) && delays.queue_ms().is_finite());
    }
}
