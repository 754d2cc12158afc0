//! Each profile does what it says: delays, jitter, loss, bursts, rate and interruptions, within confidence bounds, in virtual time.

use resonance_netsim::impairment::{Fate, Impairment, Interruption, Jitter, Link, Loss, Meanwhile, Order, Rate};
use resonance_netsim::profiles::PROFILES;
use std::time::{Duration, Instant};

/// Packets for each figure.
const PACKETS: usize = 40_000;
/// Deviations that a figure may be off: one test in fifteen thousand would fail by chance, were the seeds not fixed.
const SIGMAS: f64 = 4.0;
/// Small, so that rate limits do not matter where they are not meant.
const SMALL: usize = 100;

fn directions() -> impl Iterator<Item = (String, Impairment)> {
    PROFILES.iter().flat_map(|profile| {
        [("up", profile.up), ("down", profile.down)].map(|(way, link)| (format!("{} {way}", profile.name), link))
    })
}

/// The delays of packets sent so far apart that they know nothing of one another; `None` for each that is lost.
fn sample(impairment: Impairment, spacing: Duration, length: usize) -> Vec<Option<Duration>> {
    let mut link = Link::new(impairment, 7);
    let start = Instant::now();
    (0..PACKETS as u32)
        .map(|number| {
            let now = start + spacing * number;
            match link.carry(now, length) {
                Fate::Arrives(at) | Fate::Twice(at, _) => Some(at - now),
                _ => None,
            }
        })
        .collect()
}

/// Checks that a share of `count` is as expected, by the normal approximation of the binomial distribution.
fn share(what: &str, seen: usize, count: usize, expected: f64) {
    let (count, seen) = (count as f64, seen as f64);
    let bound = SIGMAS * (expected * (1.0 - expected) / count).sqrt() + 1.0 / count;
    assert!((seen / count - expected).abs() <= bound, "{what}: {} instead of {expected} ± {bound}", seen / count);
}

#[test]
fn delay_and_jitter_have_the_percentiles_that_were_published() {
    for (name, link) in directions() {
        let link = Impairment { loss: Loss::Never, interruption: None, rate: None, ..link };
        let delays: Vec<Duration> = sample(link, Duration::from_secs(10), SMALL).into_iter().flatten().collect();
        assert_eq!(delays.len(), PACKETS);
        assert!(delays.iter().all(|delay| *delay >= link.delay), "{name}");
        let Some(jitter) = link.jitter else {
            assert!(delays.iter().all(|delay| *delay == link.delay), "{name}");
            continue;
        };
        let below = |bound: Duration| delays.iter().filter(|delay| **delay < link.delay + bound).count();
        share(&format!("{name}: below the median"), below(jitter.median), PACKETS, 0.5);
        share(&format!("{name}: below the ninetieth percentile"), below(jitter.ninetieth), PACKETS, 0.9);
    }
}

/// A link that keeps the order keeps it at any pace; one that does not lets packets overtake, and both stay near their distribution.
#[test]
fn order_is_kept_or_not_as_said() {
    for (name, link) in directions() {
        let Some(jitter) = link.jitter else { continue };
        let mut machine = Link::new(link, 3);
        let start = Instant::now();
        let arrivals: Vec<Instant> = (0..PACKETS as u32)
            .filter_map(|number| match machine.carry(start + Duration::from_millis(10) * number, SMALL) {
                Fate::Arrives(at) | Fate::Twice(at, _) => Some(at),
                _ => None,
            })
            .collect();
        let overtaken = arrivals.windows(2).filter(|pair| pair[1] < pair[0]).count();
        assert_eq!(overtaken == 0, jitter.order == Order::Kept, "{name}: {overtaken} overtaken");
    }
    let wild = Jitter {
        median: Duration::from_millis(5),
        ninetieth: Duration::from_millis(40),
        memory: Duration::ZERO,
        order: Order::Free,
    };
    let link = Impairment { jitter: Some(wild), ..Impairment::default() };
    let delays: Vec<Duration> = sample(link, Duration::from_millis(10), SMALL).into_iter().flatten().collect();
    let below = |bound| delays.iter().filter(|delay| **delay < bound).count();
    share("at a hundred packets a second, below the median", below(wild.median), PACKETS, 0.5);
    share("and below the ninetieth percentile", below(wild.ninetieth), PACKETS, 0.9);
}

/// Neighbouring delays are alike, distant ones are not: the autocorrelation falls by the time constant that was given.
#[test]
fn delay_changes_as_fast_as_said() {
    let memory = Duration::from_millis(100);
    let (median, ninetieth) = (Duration::from_millis(10), Duration::from_millis(20));
    let jitter = Jitter { median, ninetieth, memory, order: Order::Free };
    let link = Impairment { jitter: Some(jitter), ..Impairment::default() };
    let step = Duration::from_millis(10);
    let moods: Vec<f64> =
        sample(link, step, SMALL).into_iter().flatten().map(|delay| (delay.as_secs_f64() / 0.01).ln()).collect();
    let variance = moods.iter().map(|mood| mood * mood).sum::<f64>() / moods.len() as f64;
    for lag in [1, 5, 10, 20] {
        let products = moods.iter().zip(&moods[lag..]).map(|(a, b)| a * b).sum::<f64>();
        let seen = products / (moods.len() - lag) as f64 / variance;
        let expected = (-(lag as f64) * step.as_secs_f64() / memory.as_secs_f64()).exp();
        assert!((seen - expected).abs() < 0.06, "lag {lag}: {seen} instead of {expected}");
    }
}

#[test]
fn loss_and_bursts_are_as_long_as_said() {
    for (name, link) in directions() {
        let link = Impairment { jitter: None, interruption: None, rate: None, ..link };
        // More packets, because some profiles lose one in ten thousand.
        let mut machine = Link::new(link, 5);
        let now = Instant::now();
        let count = 20 * PACKETS;
        let lost: Vec<bool> = (0..count).map(|_| machine.carry(now, SMALL) == Fate::Lost).collect();
        let seen = lost.iter().filter(|lost| **lost).count();
        let expected = link.loss.share();
        match link.loss {
            Loss::Never => assert_eq!(seen, 0, "{name}"),
            Loss::Bernoulli(_) => share(&name, seen, count, expected),
            Loss::GilbertElliott { worsen, recover, bad, good } => {
                // Packets of one bad spell are not independent: the variance of the mean grows by the sum of the correlations.
                let kept = 1.0 - worsen - recover;
                let apart = worsen * recover / (worsen + recover).powi(2) * (bad - good).powi(2);
                let variance = expected * (1.0 - expected) + 2.0 * apart * kept / (1.0 - kept);
                let bound = SIGMAS * (variance / count as f64).sqrt();
                let share = seen as f64 / count as f64;
                assert!((share - expected).abs() <= bound, "{name}: {share} instead of {expected} ± {bound}");
                // After a loss that another follows: how much likelier a loss is there than anywhere.
                let pairs = lost.windows(2).filter(|pair| pair[0] && pair[1]).count() as f64 / seen as f64;
                let in_bad = worsen / (worsen + recover);
                let bad_after_loss = in_bad * bad / expected;
                let next_bad = bad_after_loss * (1.0 - recover) + (1.0 - bad_after_loss) * worsen;
                let wanted = next_bad * bad + (1.0 - next_bad) * good;
                let bound = SIGMAS * (wanted * (1.0 - wanted) / seen as f64).sqrt() * 1.5;
                assert!((pairs - wanted).abs() <= bound, "{name}: bursts {pairs} instead of {wanted} ± {bound}");
            }
        }
    }
}

#[test]
fn duplicates_are_as_many_as_said() {
    let link = Impairment { duplicates: 0.03, ..Impairment::default() };
    let mut machine = Link::new(link, 6);
    let now = Instant::now();
    let twice = (0..PACKETS).filter(|_| matches!(machine.carry(now, SMALL), Fate::Twice(..))).count();
    share("duplicates", twice, PACKETS, 0.03);
    assert_eq!(machine.tally.twice, twice as u64);
}

/// Twice as much as fits is sent for ten seconds: what comes out is the rate, what waits waits as long as the queue is, the rest is dropped.
#[test]
fn the_rate_and_the_queue_are_as_said() {
    for (name, link) in directions() {
        let Some(Rate { bits, queue }) = link.rate else { continue };
        let link = Impairment { jitter: None, loss: Loss::Never, interruption: None, ..link };
        let length = 1_200;
        let spacing = Duration::from_secs_f64(length as f64 * 8.0 / bits as f64 / 2.0);
        let mut machine = Link::new(link, 8);
        let start = Instant::now();
        let seconds = 10.0;
        let (mut bytes, mut longest) = (0, Duration::ZERO);
        for number in 0..(seconds / spacing.as_secs_f64()) as u32 {
            let now = start + spacing * number;
            if let Fate::Arrives(at) = machine.carry(now, length) {
                bytes += length;
                longest = longest.max(at - now);
            }
        }
        let served = bytes as f64 * 8.0 / (seconds + queue.as_secs_f64());
        assert!((served / bits as f64 - 1.0).abs() < 0.02, "{name}: {served} b/s instead of {bits}");
        assert!(machine.tally.overflow > 0, "{name}");
        let waited = longest.saturating_sub(link.delay);
        let one = Duration::from_secs_f64(length as f64 * 8.0 / bits as f64);
        assert!(waited <= queue + 2 * one && waited + 3 * one >= queue, "{name}: waited {waited:?}, queue {queue:?}");
    }
}

#[test]
fn interruptions_come_and_last_as_said() {
    for (name, link) in directions() {
        let Some(interruption) = link.interruption else { continue };
        let Interruption { every, least, most, packets } = interruption;
        let link = Impairment { jitter: None, loss: Loss::Never, rate: None, ..link };
        let mut machine = Link::new(link, 9);
        let (start, step) = (Instant::now(), Duration::from_millis(5));
        let (mut spells, mut hit) = (0_usize, 0_usize);
        let mut before = false;
        let count = 4_000_000_u32;
        for number in 0..count {
            let now = start + step * number;
            let interrupted = match machine.carry(now, SMALL) {
                Fate::Arrives(at) => at - now > link.delay,
                fate => fate == Fate::Down,
            };
            if packets == Meanwhile::Held && interrupted {
                assert!(matches!(machine.carry(now, SMALL), Fate::Arrives(at) if at - now <= link.delay + most));
            }
            spells += usize::from(interrupted && !before);
            hit += usize::from(interrupted);
            before = interrupted;
        }
        let (mean, span) = ((least + most).as_secs_f64() / 2.0, step.as_secs_f64() * f64::from(count));
        let expected = span / (every.as_secs_f64() + mean);
        assert!((spells as f64 - expected).abs() <= SIGMAS * expected.sqrt(), "{name}: {spells} instead of {expected}");
        let lasted = hit as f64 * step.as_secs_f64() / spells as f64;
        let spread = (most - least).as_secs_f64() / 12_f64.sqrt() / (spells as f64).sqrt();
        assert!((lasted - mean).abs() <= SIGMAS * spread + step.as_secs_f64(), "{name}: {lasted} s instead of {mean}");
    }
}

#[test]
fn every_profile_says_where_it_comes_from() {
    for profile in &PROFILES {
        assert!(!profile.source.is_empty() && !profile.chosen.is_empty(), "{}", profile.name);
    }
    for name in ["fibre", "wifi", "busy wifi", "lte", "3g", "train", "satellite", "transcontinental"] {
        assert!(resonance_netsim::profiles::named(name).is_some(), "{name}");
    }
}
