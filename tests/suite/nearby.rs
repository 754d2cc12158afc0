//! Rooms of this network on the start screen: listed while somebody is in them, gone when nobody is; and what is remembered of sessions.

use crate::plain::Reader;
use crate::support::namespaces::{Host, Network, with_namespaces};
use crate::support::process::{BINARY, Launch, Resonance};
use crate::support::terminal::Terminals;
use crate::support::{alone, has_tool, skip, sound};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// Whoever answers every question for rooms with what no room should be called, and with a thousand of them.
const EVIL: &str = r#"
import socket, struct
def name(labels): return b"".join(bytes([len(l)]) + l for l in labels) + b"\0"
SERVICE = [b"_resonance", b"_udp", b"local"]
def answer(query, room, people=b"8"):
    texts = [b"room=" + room, b"people=" + people]
    data = b"".join(bytes([len(t)]) + t for t in texts)
    whose = name([b"evil"] + SERVICE)
    record = whose + struct.pack("!HHIH", 16, 1, 5, len(data)) + data
    return query[:2] + struct.pack("!HHHHH", 0x8400, 0, 1, 0, 0) + record
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("224.0.0.251", 5353))
here = socket.inet_aton("OWN")
s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("224.0.0.251") + here)
hostile = [b"\x1b[2Jevil", b"\x1b]0;evil\x07", "\u202elive".encode(), "lob\u200bby".encode(), b"evil\nevil", b"\xff\xfe\xfd",
           b"", b"x" * 200, ("e" + "\u0301" * 40).encode(), b"\x9b31mevil", b"evil "]
while True:
    query, whence = s.recvfrom(2000)
    if b"_resonance" not in query: continue
    s.sendto(b"\0" * 9000, whence)
    s.sendto(query[:2] + b"\x84\0\xff\xff\xff\xff\xff\xff\xff\xff" + b"\xc0\x0c" * 300, whence)
    for room in hostile: s.sendto(answer(query, room, b"99999"), whence)
    for number in range(1000): s.sendto(answer(query, b"flood %d" % number), whence)
"#;

/// Ends with the test.
struct Stranger(Child);

impl Stranger {
    fn at(host: &Host) -> Self {
        let script = EVIL.replace("OWN", &host.address);
        let child =
            host.command("python3").arg("-c").arg(script).stderr(Stdio::inherit()).spawn().expect("python runs");
        Self(child)
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start_screen(name: &str, host: &Host, data: &std::path::Path) -> String {
    let data = data.join(name);
    format!("{} '{BINARY}' --name {name} --input silence --output null --data-dir '{}'", host.shell(), data.display())
}

fn in_room(name: &str, room: &str, host: &Host) -> Resonance {
    Launch::lan(name).argument("--room").argument(room).on(host).start()
}

#[test]
fn rooms_of_this_network_come_and_go_on_the_start_screen() {
    let test = "nearby::rooms_of_this_network_come_and_go_on_the_start_screen";
    let _alone = alone();
    if !has_tool("tmux") {
        return skip(test, "tmux is missing");
    }
    with_namespaces(test, || {
        let network = Network::of(4);
        let [here, ada_at, bo_at, elsewhere] = &network.hosts[..] else { panic!("four machines") };
        let data = tempfile::tempdir().expect("a temporary folder");
        // What must not be listed, there from the beginning.
        let link = Launch::create("Lee").argument("--no-dht").on(elsewhere).start();
        link.link();
        let unlisted =
            Launch::lan("Una").argument("--room").argument("secret").argument("--unlisted").on(elsewhere).start();
        let unseen =
            Launch::lan("Una").argument("--room").argument("unseen").argument("--no-mdns").on(elsewhere).start();

        let terminals = Terminals::of(80, 24);
        let cy = terminals.open("cy");
        cy.runs(&start_screen("Cy", here, data.path()));
        cy.shows("no room is open here now", PATIENCE);
        let mut ada = in_room("Ada", "den", ada_at);
        cy.shows("1 person is there", PATIENCE);
        let bo = in_room("Bo", "den", bo_at);
        cy.shows("2 people are there", PATIENCE);
        let screen = cy.screen();
        assert!(screen.contains("den") && !screen.contains("secret") && !screen.contains("unseen"), "{screen}");
        assert_eq!(screen.matches(" there").count(), 1, "one room, and no session that has a link:\n{screen}");

        // One leaves in good order, the other's machine dies.
        bo.quit();
        cy.shows("1 person is there", PATIENCE);
        ada.kill();
        cy.shows("no room is open here now", PATIENCE);

        let dee = in_room("Dee", "den", ada_at);
        cy.shows("1 person is there", PATIENCE);
        for key in ["Down", "Down", "Down", "Enter"] {
            cy.presses(key);
        }
        dee.meets("Cy", PATIENCE);
        cy.wait_for("Dee, heard", PATIENCE, |screen| {
            (screen.contains("Dee") && screen.contains("direct")).then_some(())
        });
        for person in [dee, link, unlisted, unseen] {
            person.quit();
        }
    });
}

/// Who does not want a room told any more has that at once, on the page and in the file, and so has who wants it again.
#[test]
fn a_room_is_told_of_for_as_long_as_its_person_wants_that() {
    let test = "nearby::a_room_is_told_of_for_as_long_as_its_person_wants_that";
    let _alone = alone();
    if !has_tool("tmux") {
        return skip(test, "tmux is missing");
    }
    with_namespaces(test, || {
        let network = Network::of(2);
        let [here, ada_at] = &network.hosts[..] else { panic!("two machines") };
        let data = tempfile::tempdir().expect("a temporary folder");
        let terminals = Terminals::of(80, 40);
        let (cy, ada) = (terminals.open("cy"), terminals.open("ada"));
        cy.runs(&start_screen("Cy", here, data.path()));
        cy.shows("no room is open here now", PATIENCE);
        let program = start_screen("Ada", ada_at, data.path());
        ada.runs(&program.replace("--name", "lan --room den --unlisted --name"));
        ada.shows("Open to everyone on this network", PATIENCE);
        let says = |value: &str| {
            let line = |screen: &str| {
                let line = screen.lines().find(|line| line.contains("tell LAN rooms"))?.to_owned();
                line.contains(value).then_some(())
            };
            ada.wait_for(value, PATIENCE, line);
        };
        ada.types(",");
        says(" off ");
        // The last line but one.
        for key in ["Up", "Up", "Right"] {
            ada.presses(key);
        }
        says(" on ");
        cy.shows("1 person is there", PATIENCE);
        ada.presses("Right");
        says(" off ");
        cy.shows("no room is open here now", PATIENCE);

        let file = data.path().join("Ada/config.toml");
        std::fs::write(&file, "[privacy]\ntell_rooms = true\n").expect("writable");
        says(" on ");
        cy.shows("1 person is there", PATIENCE);
        std::fs::write(&file, "[privacy]\ntell_rooms = false\n").expect("writable");
        cy.shows("no room is open here now", PATIENCE);
        for terminal in [ada, cy] {
            terminal.presses("C-c");
            terminal.is_restored();
        }
    });
}

#[test]
fn whatever_strangers_call_their_rooms_the_start_screen_stays_whole() {
    let test = "nearby::whatever_strangers_call_their_rooms_the_start_screen_stays_whole";
    let _alone = alone();
    if !has_tool("tmux") || !has_tool("python3") {
        return skip(test, "tmux or python3 is missing");
    }
    with_namespaces(test, || {
        let network = Network::of(3);
        let [here, ada_at, evil_at] = &network.hosts[..] else { panic!("three machines") };
        let data = tempfile::tempdir().expect("a temporary folder");
        let _evil = Stranger::at(evil_at);
        let terminals = Terminals::of(80, 50);
        let cy = terminals.open("cy");
        cy.runs(&start_screen("Cy", here, data.path()));
        cy.shows("flood 0", PATIENCE);
        let ada = in_room("Ada", "lobby", ada_at);
        cy.shows("1 person is there", PATIENCE);
        let screen = cy.screen();
        assert!(!screen.contains("evil") && !screen.contains("live"), "{screen}");
        assert!(screen.matches("8 people are there").count() <= 8, "nobody fills the list alone:\n{screen}");
        for line in screen.lines().filter(|line| line.starts_with('│')) {
            assert!(line.ends_with('│') && line.chars().count() == 80, "{line}");
        }
        assert!(!cy.title().contains("evil"), "{}", cy.title());
        cy.presses("C-c");
        cy.is_restored();
        ada.quit();
    });
}

#[test]
fn in_the_linear_face_rooms_are_told_on_request() {
    let test = "nearby::in_the_linear_face_rooms_are_told_on_request";
    let _alone = alone();
    with_namespaces(test, || {
        let network = Network::of(2);
        let [here, ada_at] = &network.hosts[..] else { panic!("two machines") };
        let data = tempfile::tempdir().expect("a temporary folder");
        let ada = in_room("Ada", "den", ada_at);
        ada.wait_for("the room", PATIENCE, |event| event.kind() == "listening");
        let mut bo = Reader::on(here, "Bo", data.path());
        bo.types("rooms");
        bo.hears_line("1 room is open on this network:");
        bo.hears_line("den, 1 person.");
        bo.types("lan den");
        bo.hears_line("Ada joined.");
        bo.gets_up();
        ada.quit();
    });
}

/// Only whoever wants that: a link is a secret.
#[test]
fn the_last_sessions_are_remembered_for_whoever_wants_that_and_for_nobody_else() {
    let _alone = alone();
    let data = tempfile::tempdir().expect("a temporary folder");
    let ada = Reader::sits_down("Ada", &["create"], data.path());
    let link = ada.hears("the link", |lines| lines.iter().find(|line| line.starts_with("resonance:")).cloned());
    let kept = |name: &str| data.path().join(name).join("recent.json");

    std::fs::create_dir(data.path().join("Bo")).expect("a folder");
    std::fs::write(data.path().join("Bo/config.toml"), "[privacy]\nremember = true\n").expect("writable");
    let bo = Reader::sits_down("Bo", &["join", &link], data.path());
    bo.hears_line("Ada joined.");
    bo.hears("what is written", |_| kept("Bo").exists().then_some(()));
    bo.gets_up();
    ada.hears_line("Bo left.");
    let mode = std::fs::metadata(kept("Bo")).map(|metadata| metadata.permissions().mode() & 0o777);
    assert_eq!(mode.expect("it is there"), 0o600);
    assert!(!kept("Ada").exists(), "Ada has asked for nothing");

    let mut bo = Reader::sits_down("Bo", &[], data.path());
    bo.hears_line("1: with Ada.");
    bo.types("back 1");
    bo.hears_line("Ada joined.");
    bo.gets_up();
    let mut bo = Reader::sits_down("Bo", &[], data.path());
    bo.types("forget all");
    bo.hears_line("Forgotten.");
    assert!(!kept("Bo").exists());
    bo.gets_up();
    ada.gets_up();
}

/// In the linear face, too, one hears who comes and who goes.
#[test]
fn the_linear_face_has_the_short_sounds() {
    let _alone = alone();
    let data = tempfile::tempdir().expect("a temporary folder");
    let heard = |name: &str, settings: &str| {
        let folder = data.path().join(name);
        std::fs::create_dir(&folder).expect("a folder");
        std::fs::write(folder.join("config.toml"), settings).expect("writable");
        let file = data.path().join(format!("{name}.wav"));
        let ada = Reader::sits_down_with(name, &["create"], data.path(), &format!("wav:{}", file.display()));
        let link = ada.hears("the link", |lines| lines.iter().find(|line| line.starts_with("resonance:")).cloned());
        let bo = Reader::sits_down("Bo", &["join", &link], data.path());
        ada.hears_line("Bo joined.");
        bo.hears("sound", |lines| lines.iter().any(|line| line.starts_with("You and")).then_some(()));
        bo.gets_up();
        ada.hears_line("Bo left.");
        std::thread::sleep(Duration::from_millis(800));
        ada.gets_up();
        let samples = sound::read(&file).samples;
        samples.iter().fold(0.0_f32, |loudest, sample| loudest.max(sample.abs()))
    };
    let (with, without) = (heard("Ada", ""), heard("Abe", "[notify]\nsounds = false\n"));
    assert!(with > 0.01 && without < 0.001, "everybody is silent: {with} with sounds, {without} without");
}
