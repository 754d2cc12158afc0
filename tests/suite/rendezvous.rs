//! Meeting by the link alone: it has no address in it, nobody is on the same network, and only the distributed hash table tells who is there.

use crate::support::simulation::{Report, can_run, median, play, two_networks};
use crate::support::{alone, attempts, javascript, say, skip};
use std::fmt::Write as _;
use std::path::PathBuf;

/// Nodes of the hash table, fifty milliseconds from one another.
const NODES: usize = 20;
/// Sessions that meet in it, and how soon one must have found the other, in seconds (p50).
const SESSIONS: usize = 5;
const FOUND_S: f64 = 3.0;
const TRIES: u64 = 4;

/// Helpers, each of which knows the first.
fn hash_table() -> String {
    let mut text = String::new();
    for number in 1..=NODES {
        let node = format!("node-{number:02}");
        let bootstrap = if number == 1 { "" } else { "bootstrap = [\"node-01\"]\n" };
        // Writing into a String does not fail.
        let _ = write!(
            text,
            "[host.{node}]\nlink = \"continental\"\n[peer.{node}]\ndoes = \"helper\"\nargs = [\"--listen\", \"/ip4/{{ip:{node}}}/tcp/4001\"]\n{bootstrap}"
        );
    }
    text
}

/// What everybody has in common; the way in is a node that others do not enter by.
fn person(name: &str, node: usize, role: &str) -> String {
    let hints = if role.contains("create") { ", \"--no-hints\"" } else { "" };
    format!(
        "[host.{name}]\nlink = \"continental\"\n[peer.{name}]\nargs = [\"--no-mdns\"{hints}]\nbootstrap = [\"node-{node:02}\"]\n{role}"
    )
}

fn found(report: &Report, who: &str) -> Option<f64> {
    report.pairs().iter().filter(|pair| pair["listener"] == who).find_map(|pair| pair["found_s"].as_f64())
}

#[test]
fn two_find_one_another_among_twenty_nodes_and_a_newcomer_finds_who_is_left() {
    let test = "rendezvous::two_find_one_another_among_twenty_nodes_and_a_newcomer_finds_who_is_left";
    let _alone = alone();
    if can_run(test) {
        attempts(test, || {
            let report = play("dht", &twenty_nodes(), &[])?;
            let (joiners, newcomer) = (found_by_joiners(&report), found(&report, "newcomer"));
            Ok(format!("found after {joiners:.2?} s, the newcomer after {newcomer:.2?} s"))
        });
    }
}

#[test]
#[ignore = "takes four minutes; make bench runs it"]
fn measure_how_soon_two_find_one_another_among_twenty_nodes() {
    let test = "rendezvous::measure_how_soon_two_find_one_another_among_twenty_nodes";
    let _alone = alone();
    if !can_run(test) {
        return;
    }
    let text = twenty_nodes();
    // Nothing is expected of a measurement.
    let story = text.split("[[expect]]").next().unwrap_or_default();
    let mut times = Vec::new();
    for seed in 1..=TRIES {
        let report = play("dht", story, &["--seed", &seed.to_string()]).expect("nothing is expected");
        let found = found_by_joiners(&report);
        times.extend(&found);
        // Whoever is not found is found late.
        times.extend(vec![f64::INFINITY; SESSIONS - found.len()]);
    }
    let middle = median(times).unwrap_or(f64::INFINITY);
    say(&format!("{test}: {middle:.2} s (p50 of {} tries)", TRIES as usize * SESSIONS));
    assert!(middle <= FOUND_S, "{middle} s");
}

/// What `docs/scale.md` reckons with: the packets and bytes that one member, who waits alone, exchanges with the table.
#[test]
#[ignore = "takes two minutes; make bench runs it"]
fn measure_what_one_member_costs_the_table() {
    let test = "rendezvous::measure_what_one_member_costs_the_table";
    let _alone = alone();
    if !can_run(test) {
        return;
    }
    let seconds = 130;
    let mut text = format!("seconds = {seconds}\n{}", hash_table());
    text += &person("ada", 3, "does = \"create\"\nsays = \"silence\"\nat = 6\n");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let into = folder.path().display().to_string();
    play("scale", &text, &["--pcap", &into]).expect("nothing is expected");
    let packets = packets_of(&folder.path().join("scale-ada.pcap"));
    let first = packets.iter().map(|(at, _)| *at).fold(f64::INFINITY, f64::min);
    let (entering, waiting): (Vec<_>, Vec<_>) = packets.into_iter().partition(|(at, _)| at - first < 30.0);
    let sum = |packets: &[(f64, u64)]| packets.iter().map(|(_, bytes)| bytes).sum::<u64>() / 1_000;
    say(&format!(
        "{test}: entering, publishing and looking once: {} packets, {} kB; then in a minute: {:.0} packets, {:.0} kB",
        entering.len(),
        sum(&entering),
        waiting.len() as f64 * 60.0 / (f64::from(seconds) - 36.0),
        sum(&waiting) as f64 * 60.0 / (f64::from(seconds) - 36.0),
    ));
    assert!(!entering.is_empty(), "a table that is not asked cannot be measured");
}

/// When each packet of a capture came, in seconds, and how long it was.
fn packets_of(file: &std::path::Path) -> Vec<(f64, u64)> {
    let bytes = std::fs::read(file).expect("a capture");
    let number = |at: usize| bytes.get(at..at + 4).map(|four| u32::from_le_bytes(four.try_into().expect("four bytes")));
    let (mut at, mut packets) = (24, Vec::new());
    while let (Some(seconds), Some(nanos), Some(kept), Some(length)) =
        (number(at), number(at + 4), number(at + 8), number(at + 12))
    {
        packets.push((f64::from(seconds) + f64::from(nanos) / 1e9, u64::from(length)));
        at += 16 + kept as usize;
    }
    packets
}

fn found_by_joiners(report: &Report) -> Vec<f64> {
    (0..SESSIONS).filter_map(|number| found(report, &format!("joiner-{number}"))).collect()
}

fn twenty_nodes() -> String {
    let mut text = format!("seconds = 45\n{}", hash_table());
    let mut expected = String::new();
    for number in 0..SESSIONS {
        let node = 2 + number * 3;
        // The table needs a moment to know itself, and provider records to spread.
        text += &person(&format!("creator-{number}"), node, "does = \"create\"\nat = 6\n");
        text += &person(&format!("joiner-{number}"), node + 1, &format!("joins = \"creator-{number}\"\nat = 14\n"));
        // Writing into a String does not fail.
        let _ = writeln!(
            expected,
            "[[expect]]\nevent = {{ peer = \"joiner-{number}\", event = \"peer_joined\", about = \"creator-{number}\", before = 30 }}"
        );
    }
    // The creator's power goes; by the same link, which names it alone, a newcomer finds whoever is left.
    text += &person("newcomer", 19, "joins = \"creator-0\"\nat = 28\n");
    text += "[[step]]\nat = 24\ndo = \"crash\"\npeer = \"creator-0\"\n";
    text += &expected;
    text += "[[expect]]\nevent = { peer = \"newcomer\", event = \"peer_joined\", about = \"joiner-0\", before = 43 }\n\
             [[expect]]\nof = [\"joiner-0\", \"newcomer\"]\nhears = \"yes\"\n";
    text
}

/// Two homes and js-libp2p in between.
fn foreign_network(node: &[PathBuf; 3], more: &str) -> String {
    let [node, script, _] = node.each_ref().map(|path| path.display());
    let networks = two_networks("home");
    format!(
        r#"
seconds = 32
[host.js]
link = "fibre"
[peer.js]
does = "run"
command = ["{node}", "{script}", "{{ip:js}}", "3"]
{networks}[peer.ada]
does = "create"
at = 5
args = ["--no-mdns", "--no-hints"]
bootstrap = ["js"]
[peer.bo]
at = 14
args = ["--no-mdns"]
bootstrap = ["js"]
{more}
"#
    )
}

/// An implementation that is not ours is the whole public network: the only servers of the hash table, and the only relay, which carries no more than
/// two minutes and 128 KiB. Sound therefore finds its own way, between two homes by hole punching.
#[test]
fn two_homes_meet_through_nodes_of_js_libp2p_and_not_without_them() {
    let test = "rendezvous::two_homes_meet_through_nodes_of_js_libp2p_and_not_without_them";
    let _alone = alone();
    if !can_run(test) {
        return;
    }
    let Some(node) = javascript::installed() else {
        return skip(test, "Node and js-libp2p (scripts/setup.sh test) are missing");
    };
    let meets = "[[expect]]\nevent = { peer = \"bo\", event = \"peer_found\", about = \"ada\", with = { via = \"dht\" } }\n\
         [[expect]]\nof = [\"ada\", \"bo\"]\npath = \"direct\"\nhears = \"yes\"\n";
    attempts(test, || {
        let report = play("js", &foreign_network(&node, meets), &[])?;
        Ok(format!("found after {:?} s, first word after {:?} s", found(&report, "bo"), report.figures("/audio_s")))
    });
    // The control: when those nodes end before anybody comes, nobody meets.
    let gone = "[[step]]\nat = 4.5\ndo = \"crash\"\npeer = \"js\"\n[[expect]]\nof = [\"ada\", \"bo\"]\nhears = \"yes\"\nfails = \"nobody is there to tell\"\n";
    play("js-gone", &foreign_network(&node, gone), &[])
        .unwrap_or_else(|why| panic!("{test}: they met without a network: {why}"));
    say(&format!("{test}: without those nodes they do not meet"));
}
