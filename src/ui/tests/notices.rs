//! What stands in the header and in the line above the keys, and what gives way to what.

use super::*;
use crate::ui::model::Tone;

#[test]
fn a_warning_reads_as_sentences() {
    let mut model = in_session(UNICODE, call());
    update(&mut model, Msg::Warning { message: "Only the host may do that.".into(), hint: "The host is Bo.".into() });
    assert!(picture(&mut model, 80, 24).contains("Only the host may do that. The host is Bo."));
}

/// What is merely confirmed does not keep the door from being seen, but what happens while somebody waits there is.
#[test]
fn a_knock_comes_before_a_confirmation() {
    let mut view = call();
    let mut model = in_session(UNICODE, view.clone());
    model.tell(Tone::Fine, "Cy is verified");
    view.admission.knocks = vec![KnockView { id: "e4e4e4e4".into(), name: "Eve".into() }];
    show(&mut model, view.clone());
    assert!(picture(&mut model, 80, 24).contains("Eve knocks"));
    model.tell(Tone::Fine, "Cy is verified");
    show(&mut model, view);
    assert!(picture(&mut model, 80, 24).contains("Cy is verified"));
}

/// Names give way to a count, and the session's number to both: no word is cut off.
#[test]
fn the_header_says_what_fits() {
    let mut view = call();
    for peer in &mut view.peers {
        peer.trust = Trust::NotVerified;
    }
    let header = |view: &View, columns| {
        let mut model = in_session(UNICODE, view.clone());
        picture(&mut model, columns, 24).lines().next().unwrap_or_default().to_owned()
    };
    assert!(header(&view, 100).contains("and 2 more not verified "));
    assert!(header(&view, 80).contains(" … · ⚠ 3 not verified "));
    assert!(header(&view, 60).contains("people · ⚠ "));
    assert!(header(&view, 60).contains(" not verified "));
    view.peers[2].trust = Trust::Changed;
    view.peers[2].name = "somebody with a long name".into();
    view.admission.locked = true;
    assert!(header(&view, 80).contains(" … · ⚠ 1 CHANGED "));
}
