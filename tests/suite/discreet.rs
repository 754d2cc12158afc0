//! `--no-direct`: refused where it cannot be kept, honest about who sees what, and silent about where one is.

use crate::support::process::{Launch, run};
use crate::support::simulation::{HELPER, can_run, packets, play};
use crate::support::{alone, attempts, curious};
use resonance_protocol::link::Link;
use serde_json::{Value, json};
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

/// Where a session on this machine can be reached over TCP.
fn loopback_of(who: &crate::support::process::Resonance) -> String {
    let local = |address: &str| address.starts_with("/ip4/127.0.0.1/tcp/");
    who.wait_for("an address", PATIENCE, |event| event.kind() == "listening" && local(event.text("addr")))
        .text("addr")
        .to_owned()
}

#[test]
fn without_a_helper_it_does_not_start_and_says_what_to_do() {
    let quiet = ["--headless", "--input", "silence", "--output", "null", "--no-direct"];
    let helper = ["--helper", "/ip4/127.0.0.1/tcp/9"];
    let link = "resonance:nonsense";
    let alone = run(&[&["create"][..], &quiet].concat(), PATIENCE);
    alone.refused_with(&[2], true);
    assert!(alone.stderr.contains("--helper MULTIADDR"), "{}", alone.stderr);
    run(&[&["join", link][..], &quiet].concat(), PATIENCE).refused_with(&[2], true);
    run(&[&["create", "--listen", "/ip4/0.0.0.0/tcp/0"][..], &quiet, &helper].concat(), PATIENCE)
        .refused_with(&[2], true);
    run(&[&["create", "--helper", "nonsense"][..], &quiet].concat(), PATIENCE).refused_with(&[2], true);
    let lan = run(&[&["lan"][..], &quiet, &helper].concat(), PATIENCE);
    lan.refused_with(&[2], true);
    assert!(lan.stderr.contains("with a link"), "{}", lan.stderr);
}

/// A member is no helper: it may be named, and is told apart.
#[test]
fn nobody_but_who_was_named_learns_the_address() {
    let _alone = alone();
    let ada = Launch::create("Ada").by_link_only().start();
    let member = loopback_of(&ada);
    let bo = Launch::join("Bo", &ada.link())
        .by_link_only()
        .argument("--no-direct")
        .argument("--helper")
        .argument("/ip4/127.0.0.1/tcp/9")
        .argument("--bootstrap")
        .argument(&member)
        .start();
    bo.meets("Ada", PATIENCE);
    let cy = Launch::join("Cy", &ada.link()).by_link_only().start();
    cy.meets("Ada", PATIENCE);
    for code in ["helper_sees_address", "member_sees_address"] {
        bo.wait_for(code, PATIENCE, |event| event.kind() == "warning" && event.text("code") == code);
    }
    // Cy is introduced by Ada, and neither can connect to the other.
    std::thread::sleep(Duration::from_secs(3));
    let met = |who: &crate::support::process::Resonance, name: &str| {
        who.events("peer_joined").iter().any(|event| event.text("name") == name)
    };
    assert!(!met(&cy, "Bo") && !met(&bo, "Cy"), "nobody who was not named is connected\n{}", bo.story());
    assert!(bo.events("listening").is_empty(), "{}", bo.story());
    bo.said_only_events();
    cy.quit();
    bo.quit();
    ada.quit();
}

#[test]
fn a_link_made_by_it_names_the_helper_alone() {
    let _alone = alone();
    let ada =
        Launch::create("Ada").argument("--no-direct").argument("--helper").argument("/ip4/127.0.0.1/tcp/9").start();
    let inspected = run(&["link", "inspect", &ada.link()], PATIENCE);
    assert_eq!(inspected.code, Some(0), "{}", inspected.stderr);
    let named = |line: &&str| line.split(['/', ' ']).any(|word| word.parse::<IpAddr>().is_ok());
    let addresses: Vec<&str> = inspected.stdout.lines().filter(named).collect();
    assert_eq!(addresses.len(), 1, "the helper's alone:\n{}", inspected.stdout);
    assert!(addresses[0].contains("helper") && addresses[0].contains("/ip4/127.0.0.1/tcp/9"), "{}", inspected.stdout);
    ada.wait_for("what it means", PATIENCE, |event| event.text("code") == "helper_sees_address");
    assert!(ada.events("listening").is_empty());
    ada.quit();
}

/// What the test below hands to the curious member: where its findings go, a helper, a link, and the addresses that it looks for.
const CURIOUS: &str = "RESONANCE_TEST_CURIOUS";

/// Who says --no-direct shows its address to nobody but the helper: not to a member, who opens its signals, and not to a stranger, who calls on it
/// through the helper. All that they decrypt is searched for the address, as text and as bytes. The router is not asked to open a port, either.
#[test]
fn what_the_others_decrypt_has_the_address_nowhere() {
    let test = "discreet::what_the_others_decrypt_has_the_address_nowhere";
    let _alone = alone();
    if !can_run(test) {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let captures = folder.path().display().to_string();
    let found = folder.path().join("found.json");
    let story = |how: &str| {
        format!(
            r#"
seconds = 40
ends_with = ["curious"]
{HELPER}[network.hidden]
edge = "home"
uplink = "fibre"
ipv6 = true
ports = "nat-pmp"
[host.hidden]
network = "hidden"
[host.other]
[host.curious]
[peer.other]
does = "create"
args = ["--no-mdns"]
helpers = ["helper"]
bootstrap = ["helper"]
[peer.hidden]
at = 2
args = ["{how}"]
helpers = ["helper"]
bootstrap = ["helper"]
[peer.curious]
does = "run"
at = 5
command = ["env", "{CURIOUS}={} {{multiaddr:helper}} {{link:other}} {{ip:hidden}} {{ip2:hidden}} {{outer:hidden}}", "{}", "discreet::keeps_what_it_is_told", "--exact", "--ignored", "--nocapture"]
"#,
            found.display(),
            std::env::current_exe().expect("this program").display(),
        )
    };
    attempts(test, || {
        let told = |name: &str, how: &str| -> Result<Value, String> {
            // What an earlier attempt left is not this one's.
            let _ = std::fs::remove_file(&found);
            play(name, &story(how), &["--pcap", &captures])?;
            let text =
                std::fs::read_to_string(&found).map_err(|error| format!("{name}: nothing was found out: {error}"))?;
            let told: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
            let met = told["signals"].as_u64() > Some(3)
                && told["descriptions"].as_u64() > Some(0)
                && told["identified"] == true;
            if met { Ok(told) } else { Err(format!("{name}: too little was told: {told}")) }
        };
        // The control: without the promise the same search finds every address that there is, and the router is asked.
        let shown = told("shown", "--no-mdns")?;
        let hidden = told("hidden", "--no-direct")?;
        let asked = |name: &str| questions_to_router(&folder.path().join(format!("{name}-hidden.pcap")));
        let (asked_then, asked_now) = (asked("shown"), asked("hidden"));
        let says =
            format!("shown: {shown}, {asked_then} questions to the router; hidden: {hidden}, {asked_now} questions");
        let all = |told: &Value, holds: fn(&Value) -> bool| {
            told["seen"].as_object().is_some_and(|seen| seen.len() == 3 && seen.values().all(holds))
        };
        let good = all(&shown, |times| times.as_u64() > Some(0)) && all(&hidden, |times| *times == 0);
        if good && asked_then > 0 && asked_now == 0 { Ok(says) } else { Err(says) }
    });
}

/// The curious member, on a host of the test above.
#[test]
#[ignore = "a part of another test, which runs it on a simulated host"]
fn keeps_what_it_is_told() {
    let Ok(given) = std::env::var(CURIOUS) else { return };
    let words: Vec<&str> = given.split(' ').collect();
    let [found, helper, link, addresses @ ..] = &words[..] else { panic!("{given}") };
    let link = Link::find(link).expect("a link");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let kept = runtime.block_on(curious::listen(&link, helper, "hidden", Duration::from_secs(16)));
    let times = |wanted: &[u8]| kept.bytes.windows(wanted.len()).filter(|window| *window == wanted).count();
    let seen = addresses.iter().map(|address| {
        let bytes = match address.parse().expect("an address") {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        ((*address).to_owned(), Value::from(times(address.as_bytes()) + times(&bytes)))
    });
    let of = |counts: &std::collections::BTreeMap<String, usize>| counts.get("hidden").copied().unwrap_or_default();
    let report = json!({
        "kept_bytes": kept.bytes.len(),
        "signals": of(&kept.signals),
        "descriptions": of(&kept.descriptions),
        "identified": kept.identified,
        "seen": seen.collect::<serde_json::Map<_, _>>(),
    });
    std::fs::write(Path::new(found), report.to_string()).expect("a writable folder");
}

/// How many packets of a capture ask a router for a port, by NAT-PMP or PCP (UDP to port 5351) or by looking for UPnP (UDP to port 1900).
fn questions_to_router(capture: &Path) -> usize {
    packets(&std::fs::read(capture).expect("a capture"))
        .filter(|packet| {
            // IPv4 without options, UDP.
            let port = packet.get(22..24).map(|port| u16::from_be_bytes([port[0], port[1]]));
            packet.first() == Some(&0x45) && packet.get(9) == Some(&17) && matches!(port, Some(5_351 | 1_900))
        })
        .count()
}
