//! Over netsim's links, which queue, stall and lose as measured ones do.

use super::*;

/// A voice of five minutes over one of netsim's links. Returns the share of frames that were made up although nothing was lost (or came
/// too late), how long frames waited on average beyond the fastest packet's way, and the shortest constant wait that would have
/// made up no more than one in a hundred; both in ms.
fn over(profile: &str, seed: u64, pauses: bool) -> (f64, f64, f64) {
    const FRAMES: u32 = 30_000;
    let profile = resonance_netsim::profiles::named(profile).expect("a profile");
    let mut link = resonance_netsim::impairment::Link::new(profile.down, seed);
    let began = Instant::now();
    let mut ways = Vec::new();
    let mut receiver = Receiver { pauses, ..Receiver::new(seed as f64 % 10.0) };
    receiver.send_all(0..FRAMES, 0.0, |n| {
        let sent = began + Duration::from_millis(10) * n;
        let resonance_netsim::impairment::Fate::Arrives(at) = link.carry(sent, 130) else { return None };
        let way = (at - sent).as_secs_f64() * 1_000.0;
        ways.push(way);
        Some(way)
    });
    receiver.play_until(f64::from(FRAMES) * 10.0 - 1_500.0);
    ways.sort_by(f64::total_cmp);
    let smallest = ways[ways.len() * 99 / 100] - ways[0];
    let made_up = receiver.heard.iter().skip_while(|(_, heard)| *heard == Heard::Nothing);
    let made_up = made_up.filter(|(_, heard)| !matches!(heard, Heard::Frame(_))).count() as f64;
    let totals = receiver.buffer.totals();
    let wrongly = (made_up + totals.late as f64 - totals.lost as f64).max(0.0) / receiver.heard.len() as f64;
    let waited = receiver.delays_ms.iter().sum::<f64>() / receiver.delays_ms.len() as f64 - ways[0];
    (wrongly, waited, smallest)
}

#[test]
#[allow(clippy::print_stderr, reason = "a figure for whoever looks")]
fn on_wifi_lte_and_a_train_it_waits_hardly_longer_than_it_must() {
    for profile in ["wifi", "lte", "train"] {
        let mut sums = [0.0; 3];
        for seed in 1..=5 {
            let (wrongly, waited, smallest) = over(profile, seed, false);
            eprintln!(
                "{profile} {seed}: {:.2} % made up, waits {waited:.0} ms, {smallest:.0} ms at least",
                wrongly * 100.0
            );
            for (sum, value) in sums.iter_mut().zip([wrongly, waited, smallest]) {
                *sum += value / 5.0;
            }
        }
        let [wrongly, waited, smallest] = sums;
        assert!(wrongly <= 0.01, "{profile}: {:.2} % made up", wrongly * 100.0);
        assert!(waited <= smallest + 20.0, "{profile}: waits {waited} ms, {smallest} ms would have been enough");
    }
}
