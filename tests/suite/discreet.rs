//! `--no-direct`: refused where it cannot be kept, honest about who sees what, and silent about where one is.

use crate::support::alone;
use crate::support::process::{Launch, run};
use std::net::IpAddr;
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
