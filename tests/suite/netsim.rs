//! The program in the simulated Internet: who can call whom, and how a call sounds over bad links. `netsim/README.md` explains the scenarios.

use crate::support::simulation::{can_run, netsim, play, run, scenario};
use crate::support::{alone, attempts, python, root, say, skip, sound};
use serde_json::Value;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

/// Everyone reaches a public host, those who share a network reach one another, and what needs a helper fails as it is known to.
#[test]
fn those_meet_who_can_meet_without_help() {
    let test = "netsim::those_meet_who_can_meet_without_help";
    let _alone = alone();
    if can_run(test) {
        attempts(test, || run(&[scenario("connectivity")], &[]).map(|_| "five pairs as expected".into()));
    }
}

/// Nobody reaches either of two homes; a member whom both reach brings them together.
#[test]
fn two_homes_meet_through_a_member_of_their_session() {
    let test = "netsim::two_homes_meet_through_a_member_of_their_session";
    let _alone = alone();
    if can_run(test) {
        attempts(test, || run(&[scenario("member")], &[]).map(|_| "as expected".into()));
    }
}

/// Behind whatever kind of edge: whoever lets UDP or TCP out to any port calls somebody with a public address, by the link alone.
#[test]
fn everyone_calls_a_public_host() {
    let test = "netsim::everyone_calls_a_public_host";
    let _alone = alone();
    if can_run(test) {
        let edges = edges();
        let pairs: Vec<(&str, &str)> = edges.iter().map(|edge| ("public", edge.as_str())).collect();
        call(test, &pairs);
    }
}

/// No silence above 200 ms while packets arrive; the quality is printed. Without UDP sound takes another way, and is as good.
#[test]
fn three_talk_over_busy_wifi_and_over_lte() {
    let test = "netsim::three_talk_over_busy_wifi_and_over_lte";
    let _alone = alone();
    if !can_run(test) {
        return;
    }
    if sound::prompts().is_none() {
        return skip(test, "the recorded prompts (package alsa-utils) are missing");
    }
    let Some(judge) = python::interpreter() else {
        return skip(test, "the Python environment (scripts/setup.sh test) is missing");
    };
    let judge = format!("{} {}", judge.display(), root().join("tests/python/pesq_wb.py").display());
    let folder = tempfile::tempdir().expect("a temporary folder");
    for name in ["busy-wifi", "lte", "no-udp"] {
        attempts(test, || {
            let json = folder.path().join(format!("{name}.json"));
            let shown = json.display().to_string();
            run(&[scenario(name)], &["--judge", &judge, "--json", &shown]).map(|_| figures(&json))
        });
    }
}

/// The rate of a voice follows the path: it fits where the way out is narrow, and is the full one again when that is over.
#[test]
fn a_voice_fits_a_narrow_way_out_and_is_whole_again_after_it() {
    /// From when on the voice has to fit, until the scenario widens its way; in seconds.
    const NARROW: std::ops::Range<f64> = 12.0..22.0;
    let test = "netsim::a_voice_fits_a_narrow_way_out_and_is_whole_again_after_it";
    let _alone = alone();
    if !can_run(test) {
        return;
    }
    attempts(test, || {
        let folder = tempfile::tempdir().expect("a temporary folder");
        run(&[scenario("narrow")], &["--keep", &folder.path().display().to_string()])?;
        let [ada, bo] = ["ada", "bo"].map(|name| measurements(&folder.path().join(format!("narrow/{name}.out"))));
        let (rates, losses) = (series(&ada, "codec_up"), series(&bo, "loss_down"));
        let narrow = |series: &[(f64, f64)]| -> Vec<f64> {
            series.iter().filter(|(at, _)| NARROW.contains(at)).map(|(_, value)| *value).collect()
        };
        let (lowered, lost) = (narrow(&rates), narrow(&losses));
        let lost = lost.iter().sum::<f64>() / lost.len().max(1) as f64;
        let whole = rates.iter().filter(|(at, _)| *at > NARROW.end).find(|(_, rate)| *rate == 80_000.0);
        let last = rates.last().map_or(0.0, |(_, rate)| *rate);
        let figures =
            format!("{:.1} % lost at rates of {lowered:?} b/s; the full one again at {whole:?}", 100.0 * lost);
        let fits = !lowered.is_empty() && lowered.iter().all(|rate| *rate < 80_000.0) && lost <= 0.05;
        if fits && whole.is_some() && last == 80_000.0 { Ok(figures) } else { Err(format!("{figures}: {rates:?}")) }
    });
}

/// Where hardly any voice fits the call stays: neither is lost to the other, and some of what is said is heard all the time.
#[test]
#[ignore = "takes a minute; make deep runs it"]
fn a_call_lasts_where_hardly_any_voice_fits() {
    let test = "netsim::a_call_lasts_where_hardly_any_voice_fits";
    let _alone = alone();
    if can_run(test) {
        attempts(test, || {
            let folder = tempfile::tempdir().expect("a temporary folder");
            run(&[scenario("very-narrow")], &["--keep", &folder.path().display().to_string()])?;
            for name in ["ada", "bo"] {
                let output = folder.path().join(format!("very-narrow/{name}.out"));
                let said = std::fs::read_to_string(output).expect("what it said was kept");
                if said.contains(r#""event":"media_lost""#) || said.contains(r#""reason":"timeout""#) {
                    return Err(format!("{name} lost the other"));
                }
            }
            Ok("as expected".into())
        });
    }
}

/// The lines with which a program tells its figures.
fn measurements(output: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(output).expect("what it said was kept");
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["event"] == "stats").collect()
}

/// One of these figures, and when.
fn series(lines: &[Value], field: &str) -> Vec<(f64, f64)> {
    lines.iter().filter_map(|line| Some((line["t"].as_f64()?, line[field].as_f64()?))).collect()
}

/// One line of what a report says about quality.
fn figures(json: &Path) -> String {
    let text = std::fs::read_to_string(json).expect("a report");
    let reports: Value = serde_json::from_str(&text).expect("JSON");
    let pairs = reports[0]["pairs"].as_array().cloned().unwrap_or_default();
    let all = |name: &str| -> Vec<f64> { pairs.iter().filter_map(|pair| pair.pointer(name)?.as_f64()).collect() };
    let quality = all("/sound/quality");
    assert_eq!(quality.len(), pairs.len(), "the report rates every pair: {text}");
    let mean = quality.iter().sum::<f64>() / quality.len() as f64;
    let worst = quality.iter().copied().fold(f64::INFINITY, f64::min);
    let largest = |name| all(name).into_iter().fold(0.0, f64::max);
    format!(
        "{}: PESQ-WB {mean:.2} on average, {worst:.2} at worst; longest silence {:.0} ms, while packets arrived {:.0} ms; \
         longest time without a packet {:.0} ms",
        reports[0]["scenario"].as_str().unwrap_or_default(),
        largest("/sound/silence_ms"),
        largest("/sound/silence_while_arriving_ms"),
        largest("/pause_ms")
    )
}

#[test]
#[ignore = "takes a minute; make deep runs it"]
fn a_call_outlives_outages_partitions_and_crashes() {
    let test = "netsim::a_call_outlives_outages_partitions_and_crashes";
    let _alone = alone();
    if can_run(test) {
        attempts(test, || run(&["mishaps", "eight"].map(scenario), &[]).map(|_| "as expected".into()));
    }
}

/// Every kind of edge calls every other, a public one being called where there is one.
#[test]
#[ignore = "takes eight minutes; make deep runs it"]
fn every_edge_calls_every_other() {
    let test = "netsim::every_edge_calls_every_other";
    let _alone = alone();
    if can_run(test) {
        let edges = edges();
        let from = |at: usize| edges[at..].iter().map(move |other| (at, other));
        let pairs: Vec<(&str, &str)> =
            (0..edges.len()).flat_map(from).map(|(at, other)| (edges[at].as_str(), other.as_str())).collect();
        call(test, &pairs);
    }
}

/// Lets the first of each pair be called by the second.
fn call(test: &str, pairs: &[(&str, &str)]) {
    /// Sessions at a time: more would measure the machine.
    const SESSIONS: usize = 6;
    assert!(pairs.len() >= 10, "{pairs:?}");
    for (number, group) in pairs.chunks(SESSIONS).enumerate() {
        let mut text = "seconds = 12\n".to_owned();
        group.iter().enumerate().for_each(|(place, pair)| text += &session(place, pair.0, pair.1));
        attempts(test, || play(&format!("calls-{number}"), &text, &[]).map(|_| format!("{group:?}")));
    }
    say(&format!("{test}: {} pairs", pairs.len()));
}

/// Their names, as netsim lists them.
fn edges() -> Vec<String> {
    let output = Command::new(netsim()).arg("edges").output().expect("netsim starts");
    // The name ends where two spaces begin.
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| Some(line.split_once("  ")?.0.trim().to_owned()))
        .collect()
}

/// One calls another, who is behind the first edge; `public` comes first in the list, so it is the one that is called.
fn session(place: usize, called: &str, caller: &str) -> String {
    let mut text = String::new();
    for (role, edge) in [("called", called), ("caller", caller)] {
        let name = format!("{role}-{place}");
        // Writing into a String does not fail.
        if edge != "public" {
            let _ = write!(text, "[network.{name}]\nedge = \"{edge}\"\n[host.{name}]\nnetwork = \"{name}\"\n");
        } else {
            let _ = writeln!(text, "[host.{name}]");
        }
    }
    let _ = write!(
        text,
        "[peer.called-{place}]\ndoes = \"create\"\n[peer.caller-{place}]\njoins = \"called-{place}\"\n\
         [[expect]]\nof = [\"called-{place}\", \"caller-{place}\"]\nconnects_within = 10\npath = \"best\"\n"
    );
    let unable = ["https only", "ipv6 only"].contains(&caller);
    if called != "public" || unable {
        text += "fails = \"it needs hole punching, a helper or a relay\"\n";
    }
    text
}
