//! What stands in the header and in the line above the keys, and what gives way to what.

use super::*;
use crate::command::Command;
use crate::settings::{Setting, Values};
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

#[test]
fn what_a_busy_machine_leaves_out_stands_wherever_problems_do_and_goes_when_it_is_over() {
    let busy = "The machine is busy. Reduced: room, encoding.";
    for (keys, view) in [("", call()), ("s", call()), ("", alone())] {
        let mut model = in_session(UNICODE, view.clone());
        type_in(&mut model, keys);
        show(&mut model, View { reduced: &["room", "encoding"], ..view.clone() });
        assert!(picture(&mut model, 80, 40).contains(busy), "{keys}");
        show(&mut model, view);
        assert!(!picture(&mut model, 80, 40).contains("busy"), "{keys}");
    }
    // What is missing comes first.
    let both = View { problems: vec!["No microphone.".into()], reduced: &["room"], ..call() };
    let mut model = in_session(UNICODE, both);
    assert!(picture(&mut model, 80, 24).contains("⚠ No microphone. and 1 more"));
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

/// The view with one more line of talk.
fn with_line(from: Option<&str>, text: &str) -> View {
    let mut view = call();
    view.talk.push(TalkLine { at: Duration::from_secs(800), from: from.map(str::to_owned), text: text.to_owned() });
    view
}

fn notified(model: &mut Model, view: View) -> Option<String> {
    update(model, Msg::View(Box::new(view))).into_iter().find_map(|action| match action {
        Action::Notify { text, bell: true, desktop: false } => Some(text),
        _ => None,
    })
}

#[test]
fn whoever_looks_elsewhere_is_called_when_that_is_set() {
    let mut model = in_session(UNICODE, call());
    assert_eq!(notified(&mut model, with_line(Some("Bo"), "hello")), None, "nothing is set");
    let mut values = Values::default();
    values.set(Setting::BELL, "true").expect("a switch");
    let values = Msg::Settings { values: Box::new(values), kept_in: String::new(), mistakes: Vec::new() };
    update(&mut model, values);
    show(&mut model, call());
    assert_eq!(notified(&mut model, with_line(Some("Bo"), "hello")), Some("Bo writes".into()));
    assert_eq!(notified(&mut model, with_line(Some("Bo"), "hello")), None, "once");
    show(&mut model, call());
    assert_eq!(notified(&mut model, with_line(Some("Ada"), "hello")), None, "one's own words are no news");
    let mut more = call();
    more.peers.push(peer("e5e5e5e5", "Eve", 60.0));
    assert_eq!(notified(&mut model, more.clone()), Some("Eve joined".into()));
    more.admission.knocks = vec![KnockView { id: "f6f6f6f6".into(), name: "Finn".into() }];
    assert_eq!(notified(&mut model, more.clone()), Some("Finn wants to come in".into()));
    more.alarms = vec![alarm()];
    assert_eq!(notified(&mut model, more), Some(alarm().what));
    show(&mut model, call());
    update(&mut model, Msg::FocusGained);
    assert_eq!(notified(&mut model, with_line(Some("Bo"), "hello")), None, "who looks at it sees it");
}

#[test]
fn whoever_speaks_into_a_closed_microphone_is_told() {
    let muted = |ms: u64, level_db: f32| View {
        elapsed: Duration::from_millis(800_000 + ms),
        me: Me { muted: true, level_db, ..call().me },
        ..call()
    };
    let mut model = in_session(UNICODE, muted(0, -20.0));
    for (ms, level_db) in [(500, -20.0), (550, -70.0), (600, -20.0), (1_150, -20.0)] {
        show(&mut model, muted(ms, level_db));
    }
    assert!(!picture(&mut model, 80, 24).contains("you speak"), "a cough is not speech");
    show(&mut model, muted(1_200, -20.0));
    assert!(picture(&mut model, 80, 24).contains("you speak, but your microphone is closed (m)"));
    model.notice = None;
    show(&mut model, muted(5_000, -20.0));
    assert_eq!(model.notice, None, "once");
}

fn sounds(model: &mut Model, view: View) -> Vec<Cue> {
    let asked = update(model, Msg::View(Box::new(view)));
    asked.into_iter().filter_map(|action| if let Action::Play(cue) = action { Some(cue) } else { None }).collect()
}

#[test]
fn who_comes_goes_knocks_and_is_lost_is_heard_once() {
    let mut model = in_session(UNICODE, call());
    assert_eq!(sounds(&mut model, call()), []);
    let mut more = call();
    more.peers.push(peer("e5e5e5e5", "Eve", 60.0));
    assert_eq!(sounds(&mut model, more.clone()), [Cue::Joined]);
    more.admission.knocks = vec![KnockView { id: "f6f6f6f6".into(), name: "Finn".into() }];
    assert_eq!(sounds(&mut model, more.clone()), [Cue::Knock]);
    assert_eq!(sounds(&mut model, more.clone()), []);
    let silent = |seconds| {
        let mut view = more.clone();
        view.peers[0].connection = Connection::Reconnecting { silent_for: Duration::from_secs(seconds) };
        view
    };
    assert_eq!(sounds(&mut model, silent(0)), [], "what mends itself at once is not told");
    assert_eq!(sounds(&mut model, more.clone()), []);
    assert_eq!(sounds(&mut model, silent(2)), [Cue::Lost]);
    assert_eq!(sounds(&mut model, silent(3)), []);
    assert_eq!(sounds(&mut model, more.clone()), [Cue::Back]);
    more.peers.remove(0);
    assert_eq!(sounds(&mut model, more), [Cue::Left]);
    let mut values = Values::default();
    values.set(Setting::SOUNDS, "false").expect("a switch");
    update(&mut model, Msg::Settings { values: Box::new(values), kept_in: String::new(), mistakes: Vec::new() });
    assert_eq!(sounds(&mut model, call()), [], "whoever wants silence has it");
}

/// Who decides about the door matters less than that nothing is heard of somebody.
#[test]
fn a_host_that_is_lost_is_said_to_be_so_with_the_seconds() {
    let mut view = call();
    view.peers[0].host = true;
    view.peers[0].connection = Connection::Reconnecting { silent_for: Duration::from_secs(4) };
    let shown = picture(&mut in_session(UNICODE, view), 80, 24);
    assert!(shown.contains("reconnecting… 4 s"), "{shown}");
}

/// However small the window and however long the names: nobody is recorded without seeing it.
#[test]
fn who_records_stands_in_the_header_and_beside_the_name() {
    let mut view = call();
    view.admission.locked = true;
    view.peers[1].recording = true;
    view.peers[1].name = "somebody with a long name".into();
    for (columns, rows) in [(60, 16), (80, 24), (140, 50)] {
        let shown = picture(&mut in_session(UNICODE, view.clone()), columns, rows);
        assert!(shown.lines().next().unwrap_or_default().contains("● REC somebody"), "{shown}");
        let others: String = shown.lines().skip(1).collect();
        assert!(others.contains("… ●"), "{shown}");
    }
    let mut model = in_session(UNICODE, view.clone());
    assert_eq!(press(&mut model, &[KeyCode::Char('R')]), [Action::Command(Command::Record(None))]);
    view.me.recording = Some("/recordings/call".into());
    view.peers[0].recording = true;
    show(&mut model, view);
    let shown = picture(&mut model, 80, 24);
    assert!(shown.contains("● REC you and 2 more") && shown.contains("you ● REC (R)"), "{shown}");
    assert_eq!(press(&mut model, &[KeyCode::Char('R')]), [Action::Command(Command::StopRecording)]);
}

#[test]
fn who_looks_elsewhere_is_told_of_a_recording() {
    let mut model = in_session(UNICODE, call());
    let mut values = Values::default();
    values.set(Setting::BELL, "true").expect("a switch");
    update(&mut model, Msg::Settings { values: Box::new(values), kept_in: String::new(), mistakes: Vec::new() });
    let mut view = call();
    view.peers[0].recording = true;
    assert_eq!(notified(&mut model, view.clone()), Some("Bo is recording everybody".to_owned()));
    assert_eq!(notified(&mut model, view), None, "once");
}

/// What is wrapped on the screen cannot be selected there.
#[test]
fn a_link_that_was_written_is_copied_whole() {
    let mut view = call();
    let said = |from: Option<&str>, text: &str| TalkLine {
        at: Duration::ZERO,
        from: from.map(str::to_owned),
        text: text.to_owned(),
    };
    let copied = |view: &View| press(&mut in_session(UNICODE, view.clone()), &[KeyCode::Char('C')]);
    let long = format!("https://example.org/{}", "a/".repeat(60));
    view.talk.push(said(Some("Bo"), &format!("look (there: <{long}>), or http://b.example.")));
    assert_eq!(copied(&view), [Action::CopyToClipboard("http://b.example".into())]);
    view.talk.push(said(Some("Bo"), &format!("no: {long}!")));
    view.talk.push(said(None, "Di left, see http://not.a.person"));
    view.talk.push(said(Some("Cy"), "thanks"));
    assert_eq!(copied(&view), [Action::CopyToClipboard(long)], "the newest of people's, also when texts came after it");
    view.talk = vec![said(Some("Cy"), "mind the\u{1b}[2J gap")];
    assert_eq!(copied(&view), [Action::CopyToClipboard("mind the[2J gap".into())]);
    view.talk.clear();
    assert_eq!(copied(&view), []);
}
