//! Everyone meets everyone: the real program behind every kind of edge, in real time, with one helper in the Internet.
//!
//! Everyone hears everyone, each pair once, and directly where netsim's oracle holds that possible. How often that is so at the first try, and how soon,
//! is measured in many.

use crate::support::simulation::{Report, can_run, median, play};
use crate::support::{alone, attempts, say};
use std::fmt::Write as _;

/// Kinds of edges, and the words by which people know them.
const EDGES: [&str; 9] = [
    "public",
    "full cone",
    // Address-restricted.
    "restricted",
    // Port-restricted.
    "home",
    "symmetric",
    // A carrier's NAT, and one at home.
    "double nat",
    "no udp",
    // TCP to port 443 alone.
    "https only",
    "ipv6 only",
];

/// Two behind the same edge, which turns packets round or does not. They do not look for one another by multicast.
const SHARED: [&str; 2] = ["home", "hairpin"];

/// Sessions at a time: more would measure the machine.
const SESSIONS: usize = 6;
/// Tries of each pair when it is measured.
const TRIES: u64 = 20;
/// The share of tries in which a direct path is found where one is possible, and how soon sound must come, in seconds.
const DIRECT_SHARE: f64 = 0.95;
const DIRECT_AUDIO_S: f64 = 2.0;
const RELAYED_AUDIO_S: f64 = 4.0;

/// Two people and what stands in front of each.
#[derive(Clone, Copy)]
enum Pair {
    Apart(&'static str, &'static str),
    Together(&'static str),
}

fn pairs() -> Vec<Pair> {
    let apart = EDGES.iter().enumerate().flat_map(|(at, one)| EDGES[at..].iter().map(|other| Pair::Apart(one, other)));
    apart.chain(SHARED.map(Pair::Together)).collect()
}

/// Helpers are reached by UDP, TCP and TCP on port 443, by IPv4 and IPv6.
const HELPER: &str = r#"
seconds = 15
[host.helper]
link = "fibre"
ipv6 = true
[peer.helper]
does = "helper"
args = ["--listen", "/ip4/{ip:helper}/udp/4001/quic-v1", "--listen", "/ip4/{ip:helper}/tcp/4001", "--listen", "/ip4/{ip:helper}/tcp/443",
        "--listen", "/ip6/{ip2:helper}/udp/4001/quic-v1", "--listen", "/ip6/{ip2:helper}/tcp/4001"]
"#;

fn sessions(group: &[Pair]) -> String {
    let mut text = HELPER.to_owned();
    for (place, pair) in group.iter().enumerate() {
        let [one, other] = ["one", "other"].map(|role| format!("{role}-{place}"));
        match pair {
            Pair::Apart(first, second) => {
                stand(&mut text, &one, first);
                stand(&mut text, &other, second);
            }
            Pair::Together(edge) => {
                stand(&mut text, &one, edge);
                // Writing into a String does not fail.
                let _ = writeln!(text, "[host.{other}]\nnetwork = \"{one}\"");
            }
        }
        let at = place as f64 * 0.4;
        let _ = writeln!(
            text,
            "[peer.{one}]\ndoes = \"create\"\nat = {at}\nargs = [\"--no-mdns\"]\nhelpers = [\"helper\"]\n\
             [peer.{other}]\njoins = \"{one}\"\nat = {at}\nargs = [\"--no-mdns\"]\nhelpers = [\"helper\"]"
        );
    }
    text
}

fn expectations(group: &[Pair]) -> String {
    let one = |place| {
        format!(
            "[[expect]]\nof = [\"one-{place}\", \"other-{place}\"]\nconnects_within = 10\nhears = \"yes\"\npath = \"best\"\n"
        )
    };
    (0..group.len()).map(one).collect()
}

fn stand(text: &mut String, name: &str, edge: &str) {
    let _ = match edge {
        "public" => writeln!(text, "[host.{name}]\nlink = \"fibre\""),
        _ => writeln!(
            text,
            "[network.{name}]\nedge = \"{edge}\"\nuplink = \"fibre\"\n[host.{name}]\nnetwork = \"{name}\""
        ),
    };
}

impl std::fmt::Display for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Apart(one, other) => write!(f, "{one} × {other}"),
            Self::Together(edge) => write!(f, "both behind the same {edge}"),
        }
    }
}

#[test]
fn everyone_meets_everyone_through_a_helper_or_directly() {
    let test = "matrix::everyone_meets_everyone_through_a_helper_or_directly";
    let _alone = alone();
    if !can_run(test) {
        return;
    }
    for (number, group) in pairs().chunks(SESSIONS).enumerate() {
        let names: Vec<String> = group.iter().map(ToString::to_string).collect();
        attempts(test, || {
            let report = play(&format!("matrix-{number}"), &(sessions(group) + &expectations(group)), &[])?;
            let times: Vec<String> =
                names.iter().enumerate().map(|(place, name)| figures(&report, place, name)).collect();
            Ok(times.join("; "))
        });
    }
}

/// The path and the time to the first word, of both.
fn figures(report: &Report, place: usize, name: &str) -> String {
    let of = format!("-{place}");
    let pairs = report.pairs().iter().filter(|pair| pair["listener"].as_str().is_some_and(|who| who.ends_with(&of)));
    let shown = pairs.map(|pair| {
        let audio = pair["audio_s"].as_f64().map_or("no sound".into(), |seconds| format!("{seconds:.1} s"));
        format!("{} {audio}", pair["path"].as_str().unwrap_or("none"))
    });
    format!("{name}: {}", shown.collect::<Vec<_>>().join(", "))
}

/// Twenty tries of each pair: how often a direct path is found where one is possible, and how soon the first word is heard.
#[test]
#[ignore = "takes most of an hour; make bench runs it"]
fn measure_every_pair_twenty_times() {
    let test = "matrix::measure_every_pair_twenty_times";
    let _alone = alone();
    if !can_run(test) {
        return;
    }
    let (mut direct, mut relayed, mut possible, mut found) = (Vec::new(), Vec::new(), 0_usize, 0_usize);
    for (number, group) in pairs().chunks(SESSIONS).enumerate() {
        for seed in 1..=TRIES {
            let seed = seed.to_string();
            let report =
                play(&format!("measure-{number}"), &sessions(group), &["--seed", &seed]).expect("nothing is expected");
            for pair in report.pairs() {
                let is_direct = pair["path"] == "direct";
                // Some meet directly by TCP where the oracle, which thinks of UDP, holds nothing possible: they do not count.
                possible += usize::from(pair["direct_possible"] == true);
                found += usize::from(pair["direct_possible"] == true && is_direct);
                if let Some(seconds) = pair["audio_s"].as_f64() {
                    if is_direct { direct.push(seconds) } else { relayed.push(seconds) }
                }
            }
        }
    }
    let share = found as f64 / possible as f64;
    let [on_direct, on_relayed] = [direct, relayed].map(|times| median(times).unwrap_or(f64::INFINITY));
    say(&format!(
        "{test}: direct in {:.1} % of {possible} where it is possible; first word after {on_direct:.2} s directly, {on_relayed:.2} s through somebody (p50)",
        share * 100.0
    ));
    assert!(share >= DIRECT_SHARE && on_direct <= DIRECT_AUDIO_S && on_relayed <= RELAYED_AUDIO_S);
}
