//! Somebody with the link who speaks the protocol well and says what no honest program would: names and texts that steer terminals, turn
//! lines round, pile up accents, or never end.

use super::plain::Reader;
use crate::support::process::{BINARY, Launch};
use crate::support::terminal::Terminals;
use crate::support::{alone, has_tool, skip};
use rand::rngs::{StdRng, SysRng};
use rand::{Rng, SeedableRng};
use resonance::{audio, network};
use resonance_protocol::channel::SecureChannel;
use resonance_protocol::handshake::{Initiator, LocalPeer, MESSAGE_LENGTHS};
use resonance_protocol::identity::IdentityKey;
use resonance_protocol::link::Link;
use resonance_protocol::peer::TransportId;
use resonance_protocol::signal::Signal;
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

const PATIENCE: Duration = Duration::from_secs(20);
/// What the terminal does with its answer would be typed into the program.
const EVIL_NAME: &str = "\u{1b}]0;owned\u{7}\u{1b}[5n\u{202e}Eve\u{9b}6n\u{2066}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}";
/// The last that it says.
const LAST: &str = "that was all";

/// What it says to each.
fn mischief() -> Vec<Signal> {
    let steering =
        "\u{1b}]0;owned\u{7}\u{1b}]52;c;b3duZWQ=\u{7}\u{1b}[5n\u{1b}P$q q\u{1b}\\\u{9b}6n\u{8}\u{8}\u{0}\u{7f}";
    let turning = "\u{202e}exe.photo\u{2066}\u{2067}\u{2069}\u{200f}\u{61c}\u{feff}\u{200b}\u{e0041}";
    let mut texts = vec![
        format!("steering {steering}"),
        format!("turning {turning}"),
        format!("accents Z{}", "\u{301}".repeat(400)),
        "two\r\nlines\u{2028}and\u{85}more\u{b}\u{c}".to_owned(),
    ];
    // Ten kilobytes without a blank.
    texts.extend((0..12).map(|n| char::from(b'a' + n).to_string().repeat(Signal::MAX_TEXT)));
    texts.push(LAST.to_owned());
    let text = |(number, body): (usize, String)| Signal::Text { body, number: number as u64 + 1 };
    let poison = format!("v=0\r\n{steering}{turning}").repeat(100);
    let sdp: String = poison.chars().take(9_000).collect();
    let sdp = sdp[..sdp.floor_char_boundary(Signal::MAX_SDP)].to_owned();
    let candidate = format!("candidate:1 1 udp 1 {steering} 9 typ host");
    let mut mischief = vec![
        Signal::Offer { sdp: sdp.clone(), number: 1 },
        Signal::Answer { sdp, number: 1 },
        Signal::Candidate { candidate, mid: "\u{1b}[5n".to_owned(), number: 1 },
        Signal::Knock {
            transport: TransportId::from_bytes([200; 32]),
            identity: IdentityKey::generate(&mut StdRng::seed_from_u64(3)).public(),
            name: EVIL_NAME.to_owned(),
        },
        Signal::State { muted: true, deafened: true, recording: true },
    ];
    mischief.extend(texts.into_iter().enumerate().map(text));
    mischief
}

struct Vandal {
    network: network::Handle,
    me: TransportId,
    identity: IdentityKey,
    link: Link,
    rng: StdRng,
    starting: BTreeMap<TransportId, Initiator>,
    members: BTreeMap<TransportId, Member>,
    sent: u64,
}

struct Member {
    channel: SecureChannel,
    /// What it is yet to hear, one after the other; `None` before it counts this one as a member.
    to_hear: Option<VecDeque<Signal>>,
}

impl Vandal {
    fn new(link: &str) -> Self {
        let mut rng = StdRng::try_from_rng(&mut SysRng).expect("randomness");
        // Of each pair the one with the smaller transport identity begins: this one, whoever the other is.
        let (transport_secret, me) = loop {
            let mut secret = Zeroizing::new([0; 32]);
            rng.fill_bytes(&mut *secret);
            let me = network::transport_id(&secret);
            if me.as_bytes()[..2] == [0, 0] {
                break (secret, me);
            }
        };
        let media = network::MediaEnds {
            outbound: audio::rings::outbound().1,
            outbound_streamed: audio::rings::outbound_streamed().1,
            inbound: audio::rings::inbound().0,
            inbound_streamed: audio::rings::inbound().0,
        };
        let reach = network::Reach::Direct {
            listen: vec!["/ip4/127.0.0.1/tcp/0".to_owned()],
            mdns: false,
            dht: network::Dht::Off,
            helpers: Vec::new(),
        };
        let network = network::start(network::Config { transport_secret, reach }, media).expect("a network");
        let identity = IdentityKey::generate(&mut rng);
        let link = Link::find(link).expect("a link");
        let (starting, members) = (BTreeMap::new(), BTreeMap::new());
        Self { network, me, identity, link, rng, starting, members, sent: 0 }
    }

    fn send(&mut self, to: TransportId, bytes: Vec<u8>) {
        self.sent += 1;
        self.network.command(network::Command::Send { to, bytes, id: self.sent });
    }

    fn say(&mut self, to: TransportId, signal: &Signal) {
        let member = self.members.get_mut(&to).expect("a member");
        let sealed = member.channel.seal(Instant::now(), signal, &mut self.rng).expect("sealed");
        self.send(to, sealed);
    }

    /// Until it has said everything to so many.
    async fn vandalises(mut self, people: usize) {
        let (host, addresses) = (self.link.host, self.link.hints.clone());
        self.network.command(network::Command::Dial { peer: Some(host), addresses });
        let heard_all = |member: &&Member| member.to_hear.as_ref().is_some_and(VecDeque::is_empty);
        let told = |vandal: &Self| vandal.members.values().filter(heard_all).count();
        while told(&self) < people {
            match self.network.next_event().await.expect("the network runs") {
                network::Event::Connected { peer, .. } => {
                    let local = LocalPeer { identity: &self.identity, transport: self.me, name: EVIL_NAME };
                    let (initiator, message) =
                        Initiator::start(&self.link.keys(), &local, peer, &mut self.rng).expect("message 1");
                    self.starting.insert(peer, initiator);
                    self.send(peer, message);
                }
                network::Event::Message { from, bytes, receipt } => {
                    self.network.command(network::Command::Acknowledge { receipt });
                    self.hears(from, &bytes);
                }
                network::Event::Delivered { to, .. } | network::Event::Undelivered { to, .. } => self.goes_on(to),
                _ => {}
            }
        }
        // What is under way is to arrive.
        tokio::time::sleep(Duration::from_secs(2)).await;
        self.network.shutdown().await;
    }

    /// Says the next thing: more at once would get lost.
    fn goes_on(&mut self, to: TransportId) {
        let next = self.members.get_mut(&to).and_then(|member| member.to_hear.as_mut()?.pop_front());
        if let Some(signal) = next {
            self.say(to, &signal);
        }
    }

    fn hears(&mut self, from: TransportId, bytes: &[u8]) {
        // Who is called calls back at the same time; of the two calls this one goes on.
        if bytes.len() == MESSAGE_LENGTHS[1]
            && let Some(initiator) = self.starting.remove(&from)
        {
            let local = LocalPeer { identity: &self.identity, transport: self.me, name: EVIL_NAME };
            let (message, established) =
                initiator.finish(Instant::now(), &local, bytes, &mut self.rng).expect("message 3");
            self.members.insert(from, Member { channel: established.channel, to_hear: None });
            self.send(from, message);
            return;
        }
        let Some(member) = self.members.get_mut(&from) else { return };
        let Ok(signal) = member.channel.open(Instant::now(), bytes) else { return };
        match signal {
            Signal::State { .. } => {
                // Whoever was called greets first, so that nothing overtakes the handshake's last message.
                self.say(from, &Signal::State { muted: false, deafened: false, recording: false });
                self.say(from, &Signal::Pong { id: 0 });
            }
            Signal::Ping { id } => self.say(from, &Signal::Pong { id }),
            Signal::MediaKey(key) => self.say(from, &Signal::MediaKeyAck { generation: key.generation }),
            Signal::Roster(entries) => {
                if member.to_hear.is_none() {
                    member.to_hear = Some(mischief().into());
                    self.goes_on(from);
                }
                for entry in entries.into_iter().filter(|entry| entry.transport != self.me) {
                    let (peer, addresses) = (Some(entry.transport), entry.addresses);
                    self.network.command(network::Command::Dial { peer, addresses });
                }
            }
            _ => {}
        }
    }
}

/// Holds what comes out to plain text: no control character but line feeds, nothing invisible that turns or hides text, no piles of
/// accents, no endless line.
fn is_tame(what: &str, bytes: &[u8]) {
    let text = std::str::from_utf8(bytes).unwrap_or_else(|error| panic!("{what}: {error}"));
    for line in text.lines() {
        assert!(line.len() <= 2_000, "{what}: a line of {} bytes: {:.200}", line.len(), line);
        has_no_tricks(what, line);
        assert!(!line.chars().any(char::is_control), "{what}: {line:?}");
    }
}

/// What not even a program that steers a terminal itself may let through.
fn has_no_tricks(what: &str, text: &str) {
    let trick = |c: char| {
        matches!(c, '\u{80}'..='\u{9f}' | '\u{61c}' | '\u{200b}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
    };
    let found: Vec<char> = text.chars().filter(|c| trick(*c)).collect();
    assert!(found.is_empty(), "{what}: {found:?}");
    assert!(!text.contains(&"\u{301}".repeat(9)), "{what}: a pile of accents");
}

fn screen_program(data: &Path, log: &Path) -> String {
    format!(
        "'{BINARY}' create --name Ada --no-dht --no-mdns --input silence --output null --data-dir '{}' --log '{}'",
        data.join("ada").display(),
        log.display()
    )
}

#[test]
fn a_hostile_member_steers_no_terminal_and_spoils_no_line_and_no_log() {
    let test = "vandal::a_hostile_member_steers_no_terminal_and_spoils_no_line_and_no_log";
    let _alone = alone();
    if !has_tool("tmux") {
        return skip(test, "tmux is missing");
    }
    let data = tempfile::tempdir().expect("a temporary folder");
    let [drawn, ada_log, bo_log, cy_log] = ["drawn", "ada.log", "bo.log", "cy.log"].map(|name| data.path().join(name));
    let terminals = Terminals::of(80, 24);
    let ada = terminals.open("ada");
    ada.is_copied_to(&drawn);
    ada.runs(&screen_program(data.path(), &ada_log));
    let link = ada.wait_for("the whole link", PATIENCE, super::screen::link_on);
    let bo_log_option = bo_log.display().to_string();
    let mut bo = Reader::sits_down("Bo", &["join", &link, "--log", &bo_log_option], data.path());
    bo.hears_line("Ada joined.");
    let mut cy = Launch::join("Cy", &link).by_link_only().argument("--log").argument(&cy_log).start();
    cy.meets("Bo", PATIENCE);
    ada.shows("Cy", PATIENCE);

    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let vandal = Vandal::new(&link).vandalises(3);
        tokio::time::timeout(PATIENCE, vandal).await.expect("all three have heard it");
    });
    ada.shows(LAST, PATIENCE);
    bo.hears("the last words", |lines| lines.iter().any(|line| line.ends_with(LAST)).then_some(()));
    cy.wait_for("the last words", PATIENCE, |event| event.text("body") == LAST);

    // Everything works as before.
    bo.types("say are you there");
    ada.shows("are you there", PATIENCE);
    ada.runs(":say I am, and well");
    bo.hears_line("Ada writes: I am, and well");
    cy.wait_for("what Ada writes", PATIENCE, |event| event.text("body") == "I am, and well");
    cy.command("say so am I");
    ada.shows("so am I", PATIENCE);
    let (title, screen) = (ada.title(), ada.screen());
    assert!(!title.contains("owned"), "the window's name is the program's own: {title}");
    is_tame("the screen", screen.as_bytes());
    assert!(screen.lines().all(|line| line.chars().count() <= 80 + 8 * 4), "{screen}");

    let raw = std::fs::read(&drawn).expect("what was drawn");
    let raw = String::from_utf8_lossy(&raw);
    has_no_tricks("what was drawn", &raw);
    for steering in ["\u{1b}]0;owned", "\u{1b}]52;c;b3du", "\u{1b}[5n", "\u{1b}P$q", "\u{7f}", "\u{0}"] {
        assert!(!raw.contains(steering), "{steering:?} was drawn");
    }
    is_tame("what is read out", &bo.raw());
    for event in cy.events("text").iter().chain(&cy.events("peer_joined")).chain(&cy.events("knock")) {
        for field in ["body", "name"] {
            is_tame("an event", event.text(field).as_bytes());
            assert!(event.text(field).len() <= Signal::MAX_TEXT, "{event:?}");
        }
    }
    assert_eq!(cy.events("text").len(), mischief().len() - 5 + 3 - 1, "every text has come, its own excepted");
    cy.quit();
    bo.gets_up();
    ada.types("qq");
    ada.is_restored();
    for log in [&ada_log, &bo_log, &cy_log] {
        let bytes = std::fs::read(log).expect("a log");
        assert!(!bytes.is_empty(), "{} holds something", log.display());
        is_tame(&log.display().to_string(), &bytes);
    }
}
