//! Taking a little time out of a voice, or putting some in, without a click and without changing its pitch: overlap-add at the
//! lag where the waveform is most like itself (WSOLA: Verhelst and Roelands, ICASSP 1993), or anywhere in a pause.

use super::format::FRAME;
use super::jitter::Urgency;

/// Length of the cross-fade: 5 ms.
pub const OVERLAP: usize = FRAME / 2;
/// Shortest lag that is searched: 2.5 ms is a pitch of 400 Hz.
const MIN_LAG: usize = FRAME / 4;
/// Longest: 10 ms is a pitch of 100 Hz. Deeper voices repeat well enough within it.
pub const MAX_LAG: usize = FRAME;
/// Samples between the lags of a coarse search.
const COARSE: usize = 4;
/// Correlation from which on a join is inaudible in speech.
const GOOD_JOIN: f32 = 0.85;

/// What is known about the place of the correction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wish {
    /// At most so many samples; not more than [`MAX_LAG`].
    pub at_most: usize,
    /// What may be risked.
    pub urgency: Urgency,
    /// Mean square below which the place is a pause.
    pub quiet_power: f32,
    /// How a place is looked for.
    pub search: Search,
}

/// How exactly the best lag is looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Search {
    /// To the sample.
    #[default]
    Exact,
    /// In steps of four samples, and to the sample around the best of them: a quarter of the work. What a voice repeats is much longer.
    Coarse,
}

/// Takes samples out near the beginning of `pcm`, which must hold `at_most` + [`OVERLAP`] samples; the rest moves up. Returns how
/// many were taken out: 0 when no place was good enough.
pub fn shorten(pcm: &mut [f32], wish: Wish) -> usize {
    let at_most = wish.at_most.min(MAX_LAG);
    if at_most == 0 || pcm.len() < at_most + OVERLAP {
        return 0;
    }
    let quiet = power(&pcm[..at_most + OVERLAP]) <= wish.quiet_power;
    let Some(lag) = choose(at_most, quiet, wish, |lag| correlation(&pcm[..OVERLAP], &pcm[lag..lag + OVERLAP])) else {
        return 0;
    };
    cut(pcm, lag);
    lag
}

/// Takes so many samples out near the beginning of `pcm`, as [`shorten`] has found for another channel.
pub fn cut(pcm: &mut [f32], lag: usize) {
    if lag == 0 || pcm.len() < OVERLAP + lag {
        return;
    }
    for n in 0..OVERLAP {
        let w = fade(n, OVERLAP);
        pcm[n] += w * (pcm[n + lag] - pcm[n]);
    }
    pcm.copy_within(OVERLAP + lag.., OVERLAP);
}

/// Puts samples in at the beginning of `pcm`, whose first `len` samples are the voice to come after `history`; the voice moves back
/// (there must be room). Returns how many were put in: 0 when no place was good enough.
pub fn lengthen(pcm: &mut [f32], len: usize, history: &[f32; FRAME], wish: Wish) -> usize {
    let at_most = wish.at_most.min(MAX_LAG);
    if at_most == 0 || len < OVERLAP || pcm.len() < len + at_most {
        return 0;
    }
    let quiet = power(&pcm[..OVERLAP]) <= wish.quiet_power && power(&history[FRAME - at_most..]) <= wish.quiet_power;
    // What was heard `lag` samples before the voice to come; it may reach into that itself.
    let past = |pcm: &[f32], lag: usize, n: usize| if n < lag { history[FRAME - lag + n] } else { pcm[n - lag] };
    let Some(lag) = choose(at_most, quiet, wish, |lag| {
        let mut again = [0.0; OVERLAP];
        for (n, sample) in again.iter_mut().enumerate() {
            *sample = past(pcm, lag, n);
        }
        correlation(&pcm[..OVERLAP], &again)
    }) else {
        return 0;
    };
    repeat(pcm, len, history, lag);
    lag
}

/// Puts so many samples in at the beginning of `pcm`, as [`lengthen`] has found for another channel.
pub fn repeat(pcm: &mut [f32], len: usize, history: &[f32; FRAME], lag: usize) {
    if lag == 0 || lag > FRAME || pcm.len() < len.max(OVERLAP) + lag {
        return;
    }
    pcm.copy_within(..len, lag);
    pcm[..lag].copy_from_slice(&history[FRAME - lag..]);
    // Now pcm[n] is the past and pcm[n + lag] what was to come: go over from the latter to the former. Read before it is
    // overwritten: n + lag lies ahead of n.
    for n in 0..OVERLAP {
        let w = fade(n, OVERLAP);
        let (to_come, again) = (pcm[n + lag], pcm[n]);
        pcm[n] = to_come + w * (again - to_come);
    }
}

fn choose(at_most: usize, quiet: bool, wish: Wish, score: impl Fn(usize) -> f32) -> Option<usize> {
    let Wish { urgency, search, .. } = wish;
    if quiet {
        return Some(at_most);
    }
    if urgency == Urgency::Calm {
        return None;
    }
    if at_most < MIN_LAG {
        // The rest of a frame, shorter than any pitch.
        return (urgency == Urgency::Now).then_some(at_most);
    }
    let better = |best: (usize, f32), lag: usize| {
        let score = score(lag);
        if score > best.1 { (lag, score) } else { best }
    };
    let step = if search == Search::Exact { 1 } else { COARSE };
    let mut best = (MIN_LAG..=at_most).step_by(step).fold((MIN_LAG, f32::NEG_INFINITY), better);
    if search == Search::Coarse {
        best = ((best.0 + 1 - COARSE).max(MIN_LAG)..(best.0 + COARSE).min(at_most + 1)).fold(best, better);
    }
    (urgency == Urgency::Now || best.1 >= GOOD_JOIN).then_some(best.0)
}

/// Normalised cross-correlation, −1 to 1.
fn correlation(a: &[f32], b: &[f32]) -> f32 {
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        ab += a * b;
        aa += a * a;
        bb += b * b;
    }
    ab / (aa * bb).sqrt().max(1.0e-9)
}

/// Mean square.
pub fn power(pcm: &[f32]) -> f32 {
    pcm.iter().map(|x| x * x).sum::<f32>() / pcm.len().max(1) as f32
}

/// Weight of what comes in, at sample `n` of a cross-fade of `len`: a raised cosine from 0 to 1.
pub fn fade(n: usize, len: usize) -> f32 {
    0.5 - 0.5 * ((n as f32 + 0.5) * std::f32::consts::PI / len as f32).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Wish = Wish { at_most: MAX_LAG, urgency: Urgency::Soon, quiet_power: 1.0e-5, search: Search::Exact };

    /// A voice-like wave of 125 Hz with overtones.
    fn voice(n: usize) -> f32 {
        let phase = n as f32 * 125.0 / 48_000.0 * std::f32::consts::TAU;
        (1..6).map(|k| (phase * k as f32 + k as f32).sin() * 0.3 / k as f32).sum()
    }

    fn noise(seed: u32, n: usize) -> f32 {
        let x = (n as u32).wrapping_mul(2_654_435_761).wrapping_add(seed).wrapping_mul(2_246_822_519);
        ((x ^ (x >> 13)).wrapping_mul(3_266_489_917) >> 8) as f32 / (1 << 23) as f32 - 1.0
    }

    fn largest_step(pcm: &[f32]) -> f32 {
        pcm.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn a_voiced_sound_loses_whole_pitch_periods_and_stays_smooth() {
        let whole: Vec<f32> = (0..960).map(voice).collect();
        let mut pcm = whole.clone();
        let removed = shorten(&mut pcm, SOON);
        assert_eq!(removed, 384, "one period of 125 Hz");
        let rest = &pcm[..960 - removed];
        assert!(largest_step(rest) <= largest_step(&whole) * 1.05);
        // It ends as it would have ended.
        assert_eq!(rest[300..], whole[300 + removed..]);
        assert_eq!(rest[0], whole[0] + fade(0, OVERLAP) * (whole[removed] - whole[0]));
    }

    #[test]
    fn a_voiced_sound_gains_whole_pitch_periods_and_stays_smooth() {
        let whole: Vec<f32> = (0..1_440).map(voice).collect();
        let history: [f32; FRAME] = std::array::from_fn(|n| whole[n]);
        let mut pcm = [0.0; 1_440];
        pcm[..480].copy_from_slice(&whole[480..960]);
        let added = lengthen(&mut pcm, 480, &history, SOON);
        assert_eq!(added, 384);
        let mut joined = history.to_vec();
        joined.extend_from_slice(&pcm[..480 + added]);
        assert!(largest_step(&joined) <= largest_step(&whole) * 1.05);
        assert_eq!(pcm[480 + added - 100..480 + added], whole[860..960]);
    }

    #[test]
    fn unvoiced_sound_is_left_alone_unless_it_must_be() {
        let hiss: Vec<f32> = (0..960).map(|n| noise(1, n) * 0.2).collect();
        let mut pcm = hiss.clone();
        assert_eq!(shorten(&mut pcm, SOON), 0);
        assert_eq!(pcm, hiss);
        assert!(shorten(&mut pcm, Wish { urgency: Urgency::Now, ..SOON }) > 0);
    }

    #[test]
    fn in_a_pause_exactly_what_was_asked_for_goes_and_in_speech_nothing_does_when_calm() {
        let calm = Wish { urgency: Urgency::Calm, ..SOON };
        let mut pause: Vec<f32> = (0..960).map(|n| noise(2, n) * 1.0e-3).collect();
        assert_eq!(shorten(&mut pause, calm), 480);
        assert_eq!(lengthen(&mut pause, 480, &[0.0; FRAME], Wish { at_most: 77, ..calm }), 77);
        let mut speech: Vec<f32> = (0..960).map(voice).collect();
        assert_eq!(shorten(&mut speech, calm), 0);
    }
}
