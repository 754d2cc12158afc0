//! A call stays a call: through another network, a router that forgets, an outage, and a partition.

use crate::support::simulation::{can_run, median, play, run, scenario};
use crate::support::{alone, attempts, say};

/// Tries when it is measured, and how long one is not heard at most, in milliseconds (p50).
const TRIES: u64 = 10;
const GAP_MS: f64 = 2_000.0;

#[test]
fn a_call_follows_to_another_network_and_past_a_router_that_forgets() {
    let test = "staying::a_call_follows_to_another_network_and_past_a_router_that_forgets";
    let _alone = alone();
    if can_run(test) {
        for name in ["roam", "rebind"] {
            attempts(test, || run(&[scenario(name)], &[]).map(|_| format!("{name}: as expected")));
        }
    }
}

#[test]
#[ignore = "takes three minutes; make deep runs it"]
fn everyone_is_back_after_an_outage_and_after_a_partition() {
    let test = "staying::everyone_is_back_after_an_outage_and_after_a_partition";
    let _alone = alone();
    if can_run(test) {
        for name in ["outage", "partition"] {
            attempts(test, || run(&[scenario(name)], &[]).map(|_| format!("{name}: as expected")));
        }
    }
}

/// How long those who have moved, or whose router has forgotten them, are not heard.
#[test]
#[ignore = "takes eight minutes; make bench runs it"]
fn measure_the_gap_of_a_change_of_address() {
    let test = "staying::measure_the_gap_of_a_change_of_address";
    let _alone = alone();
    if !can_run(test) {
        return;
    }
    let mut worst: f64 = 0.0;
    for name in ["roam", "rebind"] {
        let text = std::fs::read_to_string(scenario(name)).expect("a scenario");
        // Nothing is expected of a measurement.
        let story = text.split_once("\n[[expect]]").map_or(text.as_str(), |(story, _)| story);
        let mut gaps = Vec::new();
        for seed in 1..=TRIES {
            let report = play(name, story, &["--seed", &seed.to_string()]).expect("nothing is expected");
            let about_bo = report.pairs().iter().filter(|pair| pair["speaker"] == "bo");
            gaps.extend(about_bo.map(|pair| pair.pointer("/sound/silence_ms").and_then(|gap| gap.as_f64())));
        }
        let heard: Vec<f64> = gaps.iter().map(|gap| gap.unwrap_or(f64::INFINITY)).collect();
        let middle = median(heard).unwrap_or(f64::INFINITY);
        say(&format!("{test}: {name}: {middle:.0} ms (p50 of {} gaps)", gaps.len()));
        worst = worst.max(middle);
    }
    assert!(worst <= GAP_MS, "{worst} ms");
}
