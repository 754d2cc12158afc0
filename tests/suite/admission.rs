//! A locked door, in real processes: who comes knocks, is let in, is removed, and finds the old link answered by nobody.

use crate::support::alone;
use crate::support::process::{Launch, Resonance, run};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(15);

fn hears_of(who: &Resonance, kind: &str, name: &str) -> String {
    let wanted = |event: &crate::support::process::Event| event.kind() == kind && event.text("name") == name;
    who.wait_for(&format!("{kind} of {name}"), PATIENCE, wanted).text("peer").to_owned()
}

fn refused(mut who: Resonance, words: &str) {
    let status = who.wait_for_end(PATIENCE);
    assert_eq!(status.code(), Some(4), "refused\n{}", who.story());
    who.said_only_events();
    let errors = who.events("error");
    assert_eq!(errors.len(), 1, "one error event\n{}", who.story());
    let told = errors[0].text("message").contains(words) && who.complaints().contains(words);
    assert!(told, "{words}\n{}", who.story());
}

#[test]
fn who_knocks_is_let_in_or_refused_and_who_is_removed_stays_out() {
    let _alone = alone();
    let mut ada = Launch::create("Ada").by_link_only().start();
    let link = ada.link();
    let bo = Launch::join("Bo", &link).by_link_only().start();
    ada.meets("Bo", PATIENCE);
    ada.command("lock");
    hears_of(&bo, "locked", "Ada");

    let cy = Launch::join("Cy", &link).by_link_only().start();
    assert_eq!(hears_of(&cy, "knock", "Cy"), "me");
    hears_of(&ada, "knock", "Cy");
    hears_of(&bo, "knock", "Cy");
    assert!(cy.events("peer_joined").is_empty() && cy.events("session_joined").is_empty());
    ada.command("admit Cy");
    assert_eq!(hears_of(&cy, "admitted", "Cy"), "me");
    for (one, other) in [(&cy, "Ada"), (&cy, "Bo"), (&bo, "Cy"), (&ada, "Cy")] {
        one.hears(other, PATIENCE);
    }

    let eve = Launch::join("Eve", &link).by_link_only().start();
    hears_of(&ada, "knock", "Eve");
    ada.command("refuse Eve");
    refused(eve, "locked");

    let before = ada.mark();
    ada.command("kick Cy");
    refused(cy, "removed");
    hears_of(&bo, "kicked", "Cy");
    let changed = |event: &crate::support::process::Event| event.kind() == "link" && event.text("link") != link;
    let new = ada.wait_since(before, "the new link", PATIENCE, changed).text("link").to_owned();
    assert_eq!(bo.wait_for("the new link", PATIENCE, changed).text("link"), new);
    refused(Launch::join("Cy", &link).by_link_only().start(), "does not accept this link");

    ada.command("handover Bo");
    ada.command("unlock");
    ada.wait_since(before, "that Ada is not the host any more", PATIENCE, |event| event.text("code") == "host_only");
    let di = Launch::join("Di", &new).by_link_only().start();
    hears_of(&bo, "knock", "Di");
    let mut bo = bo;
    bo.command("unlock");
    di.hears("Ada", PATIENCE);
    di.hears("Bo", PATIENCE);
    [di, bo, ada].into_iter().for_each(Resonance::quit);
}

#[test]
fn an_expired_link_is_refused_at_once_and_says_so() {
    let ada = Launch::create("Ada").by_link_only().argument("--expires").argument("1s").start();
    let link = ada.link();
    std::thread::sleep(Duration::from_millis(2_100));
    let joined = run(&["join", &link, "--headless", "--input", "silence", "--output", "null"], PATIENCE);
    joined.refused_with(&[2], true);
    let inspected = run(&["link", "inspect", &link], PATIENCE);
    assert!(inspected.code == Some(0) && inspected.stdout.contains("has expired"), "{}", inspected.stdout);
    run(&["create", "--headless", "--expires", "soon"], PATIENCE).refused_with(&[2], true);
    ada.quit();
}
