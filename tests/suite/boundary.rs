//! The bytes that enter the network room hold nothing in the clear: DTLS and libp2p's encryption would hide such a mistake
//! from a capture. The same search over the same bytes with the seal taken off finds everything, so the search works.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use resonance::audio::format::{Block, FRAME};
use resonance::audio::offline::Party;
use resonance::audio::voice::Voice;
use resonance::audio::{self};
use resonance::command::Command;
use resonance::session::effect::{AudioEffect, Effect};
use resonance::session::event::{Description, Event};
use resonance::session::{Config, Entry, Session};
use resonance_protocol::channel::SecureChannel;
use resonance_protocol::handshake::{Initiator, LocalPeer};
use resonance_protocol::identity::{AuthorityKey, IdentityKey};
use resonance_protocol::link::Link;
use resonance_protocol::media::{Frame, Opener, SenderKey};
use resonance_protocol::peer::TransportId;
use resonance_protocol::signal::Signal;
use std::collections::VecDeque;
use std::time::Instant;

const NAME: &str = "Ada Lovelace";
const TEXT: &str = "the notes are in the old oak tree";
const SDP: &str = "a=fingerprint:sha-256 19:E2:1C:3B:4B:9F:81:E6:B8:5C:F4:A5:A8:D8:73:04";

/// Ada's side is the real session and the real pipeline; everything that they hand to the network is kept.
struct Ada {
    session: Session<StdRng>,
    party: Party,
    now: Instant,
    entered: Vec<u8>,
    messages: VecDeque<Vec<u8>>,
}

impl Ada {
    fn event(&mut self, event: Event) {
        self.session.handle_event(self.now, event);
        while let Some(effect) = self.session.poll_effect() {
            match effect {
                Effect::Send { bytes, .. } => {
                    self.entered.extend_from_slice(&bytes);
                    self.messages.push_back(bytes);
                }
                Effect::OpenMedia { peer, number, .. } => {
                    let sdp = SDP.to_owned();
                    self.event(Event::Description { peer, kind: Description::Offer, sdp, number });
                }
                Effect::Audio(AudioEffect::SenderKey(sealer)) => {
                    self.party.control(audio::Control::SenderKey(sealer), self.now).expect("a key is taken");
                }
                Effect::Audio(AudioEffect::Step(id)) => {
                    self.party.control(audio::Control::Step(id), self.now).expect("a step is taken");
                }
                _ => {}
            }
        }
    }

    fn message(&mut self, from: TransportId, bytes: Vec<u8>) {
        self.event(Event::Message { from, bytes, receipt: 0 });
    }
}

/// What Bo, who has the keys, sees in the same bytes.
#[derive(Default)]
struct Opened {
    bytes: Vec<u8>,
    opus: Vec<Vec<u8>>,
}

impl Opened {
    fn signal(&mut self, signal: &Signal) {
        match signal {
            Signal::Offer { sdp, .. } => self.bytes.extend_from_slice(sdp.as_bytes()),
            Signal::Text { body, .. } => self.bytes.extend_from_slice(body.as_bytes()),
            Signal::Roster(entries) => {
                entries.iter().for_each(|entry| self.bytes.extend_from_slice(entry.identity.as_bytes()));
            }
            _ => {}
        }
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// A voice-like sound: harmonics of a gliding pitch, with some breath.
fn voice_block(rng: &mut StdRng, at: usize) -> Block {
    let mut block: Block = [0.0; FRAME];
    for (i, sample) in block.iter_mut().enumerate() {
        let t = (at * FRAME + i) as f32 / 48_000.0;
        let pitch = 120.0 + 20.0 * (t * 3.0).sin();
        let breath = (rng.next_u32() >> 8) as f32 / (1 << 24) as f32 - 0.5;
        *sample = (1..8).map(|n| (t * pitch * n as f32 * std::f32::consts::TAU).sin() / n as f32).sum::<f32>() * 0.1
            + breath * 0.02;
    }
    block
}

#[test]
fn nothing_enters_the_network_room_in_the_clear() {
    let now = Instant::now();
    let mut rng = StdRng::seed_from_u64(5);
    // Of each pair the one with the smaller transport identity offers media: Ada, here.
    let (ada_id, bo_id) = (TransportId::from_bytes([1; 32]), TransportId::from_bytes([2; 32]));
    let authority = Box::new(AuthorityKey::generate(&mut rng));
    let link = Link::create(ada_id, authority.hash(), 0, vec![], &mut rng);
    let identity = IdentityKey::generate(&mut rng);
    let ada_identity = identity.public();
    let config = Config {
        entry: Entry::Create { link: Box::new(link.clone()), authority },
        unix_time: 1_800_000_000,
        me: ada_id,
        identity,
        contacts: None,
        name: NAME.to_owned(),
        bootstrap: vec![],
    };
    let mut ada = Ada {
        session: Session::new(config, now, StdRng::seed_from_u64(6)),
        party: Party::new(Voice::new(false)).expect("a pipeline"),
        now,
        entered: Vec::new(),
        messages: VecDeque::new(),
    };

    let (bo_identity, keys) = (IdentityKey::generate(&mut rng), link.keys());
    let bo = LocalPeer { identity: &bo_identity, transport: bo_id, name: "Bo" };
    let (initiator, message1) = Initiator::start(&keys, &bo, ada_id, &mut rng).expect("message 1");
    ada.event(Event::Connected { peer: bo_id, remote: None });
    ada.message(bo_id, message1);
    let message2 = ada.messages.pop_front().expect("message 2");
    let (message3, mut established) = initiator.finish(now, &bo, &message2, &mut rng).expect("message 3");
    ada.message(bo_id, message3);
    for signal in [Signal::State { muted: false, deafened: false, recording: false }, Signal::Pong { id: 0 }] {
        let message = established.channel.seal(now, &signal, &mut rng).expect("a greeting, and an answer to Ada's");
        ada.message(bo_id, message);
    }
    ada.event(Event::Command(Command::Say(TEXT.to_owned())));

    let mut opened = Opened::default();
    opened.bytes.extend_from_slice(established.name.as_bytes());
    opened.bytes.extend_from_slice(established.identity.as_bytes());
    let mut ears = Opener::new();
    open_signals(&mut ada, bo_id, &mut established.channel, &mut rng, &mut opened, |key| {
        ears.install(now, &key.opening_key(&keys.session_id, &ada_identity.fingerprint()));
    });
    for at in 0..100 {
        ada.party.speak(&mut voice_block(&mut rng, at));
        while let Some(packet) = ada.party.sealed() {
            ada.entered.extend_from_slice(packet.as_slice());
            let mut plain = [0; 2_000];
            let length = ears.open(now, &packet, &mut plain).expect("Bo has the key");
            let frame = Frame::parse(&plain[..length]).expect("a frame");
            opened.bytes.extend_from_slice(frame.opus);
            opened.opus.push(frame.opus.to_vec());
        }
    }
    assert!(opened.opus.len() >= 95, "{} frames", opened.opus.len());

    let mut needles: Vec<(&str, Vec<u8>)> = vec![
        ("name", NAME.into()),
        ("text", TEXT.into()),
        ("DTLS fingerprint", SDP.into()),
        ("identity key", ada_identity.as_bytes().to_vec()),
    ];
    needles.extend(opened.opus.iter().map(|frame| ("Opus frame", frame[..12].to_vec())));
    for (what, needle) in &needles {
        assert!(!contains(&ada.entered, needle), "{what} enters the network room in the clear");
        assert!(contains(&opened.bytes, needle), "the search would not have found the {what}");
    }
}

/// Bo opens all that came for him, and acknowledges sender keys so that they are used.
fn open_signals(
    ada: &mut Ada,
    bo: TransportId,
    channel: &mut SecureChannel,
    rng: &mut StdRng,
    opened: &mut Opened,
    mut install: impl FnMut(SenderKey),
) {
    while let Some(message) = ada.messages.pop_front() {
        let signal = channel.open(ada.now, &message).expect("a channel message");
        opened.signal(&signal);
        if let Signal::MediaKey(key) = &signal {
            install(SenderKey::from_signal(key));
            let ack = Signal::MediaKeyAck { generation: key.generation };
            let ack = channel.seal(ada.now, &ack, rng).expect("an acknowledgement");
            ada.message(bo, ack);
        }
    }
}
