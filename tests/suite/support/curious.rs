//! A member of a session that keeps all that it learns of the others: each signal as it is decrypted, each event of its network, and what a peer tells
//! any libp2p node that calls on it. It is made of the library's own parts, takes part as members do, and says nothing of what it keeps.

use futures::StreamExt;
use libp2p::kad::store::MemoryStore;
use libp2p::kad::{self, RecordKey};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, PeerId, StreamProtocol, Swarm, SwarmBuilder, dcutr, identify, noise, relay, tcp, yamux};
use rand::Rng;
use rand::rngs::StdRng;
use resonance::audio::rings;
use resonance::network::{self, Command, Config, DescriptionKind, Dht, Event, Handle, Haste, MediaEnds, Place, Reach};
use resonance_protocol::channel::SecureChannel;
use resonance_protocol::handshake::{Initiator, LocalPeer};
use resonance_protocol::identity::IdentityKey;
use resonance_protocol::link::{Link, SessionKeys};
use resonance_protocol::message::MessageKind;
use resonance_protocol::peer::TransportId;
use resonance_protocol::signal::Signal;
use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::time::{sleep_until, timeout_at};
use zeroize::Zeroizing;

const NAME: &str = "curious";

/// Handshakes that are begun anew: of several connections at once all but one are given up, with what was on its way by them.
const MAX_LOST: usize = 10;

/// What was learnt, and from whom.
#[derive(Default)]
pub struct Kept {
    /// Everything, one after the other.
    pub bytes: Vec<u8>,
    /// Names of those whose signals were opened, and how many.
    pub signals: BTreeMap<String, usize>,
    /// Session descriptions and candidates among them, of each.
    pub descriptions: BTreeMap<String, usize>,
    /// A libp2p node that belongs to nobody was told something by the one who was looked for.
    pub identified: bool,
}

impl Kept {
    fn note(&mut self, what: &str, bytes: &[u8]) {
        self.bytes.extend_from_slice(what.as_bytes());
        self.bytes.extend_from_slice(bytes);
        self.bytes.push(b'\n');
    }

    fn signal(&mut self, from: &str, signal: &Signal) {
        *self.signals.entry(from.to_owned()).or_default() += 1;
        if matches!(signal, Signal::Offer { .. } | Signal::Answer { .. } | Signal::Candidate { .. }) {
            *self.descriptions.entry(from.to_owned()).or_default() += 1;
        }
        self.note("signal ", format!("{signal:?}").as_bytes());
        // A kind that this version does not know cannot be written.
        if let Ok(bytes) = signal.write() {
            self.note("in bytes ", &bytes);
        }
    }
}

/// Joins by a link, with a helper, until the time is over; meanwhile the member called `looked_for` is called on from outside, too.
pub async fn listen(link: &Link, helper: &str, looked_for: &str, span: Duration) -> Kept {
    let until = Instant::now() + span;
    let place = Place::parse(helper).expect("a helper's address");
    let mut rng: StdRng = rand::make_rng();
    let secret = small_secret(&mut rng);
    let reach =
        Reach::Direct { listen: Vec::new(), mdns: false, dht: Dht::At(vec![place.clone()]), helpers: vec![place] };
    let me = network::transport_id(&secret);
    // The other ends of its rings are nobody's: it hears and says nothing.
    let media = MediaEnds {
        outbound: rings::outbound().1,
        outbound_streamed: rings::outbound_streamed().1,
        inbound: rings::inbound().0,
        inbound_streamed: rings::inbound().0,
    };
    let network = network::start(Config { transport_secret: secret, reach }, media).expect("a network");
    let identity = IdentityKey::generate(&mut rng);
    let keys = link.keys();
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let key = keys.rendezvous_key(unix);
    let member =
        Member { network, me, identity, keys, rng, talks: BTreeMap::new(), sent: 0, lost: 0, kept: Kept::default() };
    member.network.command(Command::Meet { own: key, keys: vec![key], haste: Haste::Seek });
    member.network.command(Command::Dial { peer: Some(link.host), addresses: link.hints.clone() });
    let helper = helper.parse().expect("a multiaddr");
    let (mut kept, mut told) = member.run(looked_for, until, helper, key).await;
    kept.identified = told.identified;
    kept.bytes.append(&mut told.bytes);
    kept
}

/// A small name: of two, the one with the smaller begins the handshake and makes the offer.
fn small_secret(rng: &mut StdRng) -> Zeroizing<[u8; 32]> {
    let mut secret = Zeroizing::new([0; 32]);
    loop {
        rng.fill_bytes(&mut *secret);
        if matches!(network::transport_id(&secret).as_bytes(), [0, 0..16, ..]) {
            return secret;
        }
    }
}

/// How far an acquaintance has come.
enum Talk {
    Asked(Box<Initiator>),
    Open { name: String, channel: Box<SecureChannel>, message3: u64, offered: bool },
}

struct Member {
    network: Handle,
    me: TransportId,
    identity: IdentityKey,
    keys: SessionKeys,
    rng: StdRng,
    talks: BTreeMap<TransportId, Talk>,
    sent: u64,
    /// Handshakes that came to nothing.
    lost: usize,
    kept: Kept,
}

impl Member {
    async fn run(mut self, looked_for: &str, until: Instant, helper: Multiaddr, key: [u8; 32]) -> (Kept, Kept) {
        let mut outside = None;
        while let Ok(Some(event)) = timeout_at(until.into(), self.network.next_event()).await {
            self.on_event(event);
            let known = |talk: &Talk| matches!(talk, Talk::Open { name, .. } if name == looked_for);
            if outside.is_none()
                && let Some((peer, _)) = self.talks.iter().find(|(_, talk)| known(talk))
            {
                outside = Some(tokio::spawn(look_from_outside(helper.clone(), *peer, key, until)));
            }
        }
        self.network.shutdown().await;
        let told = match outside {
            Some(outside) => outside.await.expect("it looked to the end"),
            None => Kept::default(),
        };
        (self.kept, told)
    }

    fn on_event(&mut self, event: Event) {
        if !matches!(event, Event::Message { .. }) {
            self.kept.note("event ", format!("{event:?}").as_bytes());
        }
        match event {
            Event::Connected { peer, .. } => self.initiate(peer),
            Event::Undelivered { to, id, .. } => self.undelivered(to, id),
            Event::Delivered { to, id } => self.delivered(to, id),
            Event::Message { from, bytes, receipt } => {
                let taken = self.message(from, &bytes).is_some();
                self.network.command(if taken {
                    Command::Acknowledge { receipt }
                } else {
                    Command::Refuse { receipt }
                });
            }
            Event::LocalDescription { peer, kind: DescriptionKind::Offer, sdp, number } => {
                self.say(peer, &Signal::Offer { sdp, number });
            }
            Event::LocalCandidate { peer, candidate, mid } => {
                self.say(peer, &Signal::Candidate { candidate, mid, number: 1 });
            }
            _ => {}
        }
    }

    fn send(&mut self, to: TransportId, bytes: Vec<u8>) -> u64 {
        self.sent += 1;
        self.network.command(Command::Send { to, bytes, id: self.sent });
        self.sent
    }

    /// Begins a handshake; one that came to nothing is begun anew.
    fn initiate(&mut self, peer: TransportId) {
        if matches!(self.talks.get(&peer), Some(Talk::Open { .. })) {
            return;
        }
        let local = LocalPeer { identity: &self.identity, transport: self.me, name: NAME };
        let Ok((initiator, message1)) = Initiator::start(&self.keys, &local, peer, &mut self.rng) else { return };
        self.send(peer, message1);
        self.talks.insert(peer, Talk::Asked(Box::new(initiator)));
    }

    fn delivered(&mut self, to: TransportId, id: u64) {
        if let Some(Talk::Open { message3, .. }) = self.talks.get(&to)
            && *message3 == id
        {
            self.say(to, &Signal::State { muted: true, deafened: true, recording: false });
        }
    }

    /// What was part of a handshake is lost with it.
    fn undelivered(&mut self, to: TransportId, id: u64) {
        let open = match self.talks.get(&to) {
            Some(Talk::Asked(_)) => false,
            Some(Talk::Open { message3, .. }) => *message3 != id,
            None => true,
        };
        if !open && self.lost < MAX_LOST {
            self.lost += 1;
            self.talks.remove(&to);
            self.initiate(to);
        }
    }

    /// Takes a message; `None` when it is not what is waited for. First messages of others are crossed by ours, which go on.
    fn message(&mut self, from: TransportId, bytes: &[u8]) -> Option<()> {
        match MessageKind::of(bytes)? {
            MessageKind::Handshake2 => {
                let Some(Talk::Asked(_)) = self.talks.get(&from) else { return None };
                let Some(Talk::Asked(initiator)) = self.talks.remove(&from) else { return None };
                let local = LocalPeer { identity: &self.identity, transport: self.me, name: NAME };
                let (message3, pair) = initiator.finish(Instant::now(), &local, bytes, &mut self.rng).ok()?;
                let message3 = self.send(from, message3);
                let (name, channel) = (pair.name, Box::new(pair.channel));
                self.kept.note("name ", name.as_bytes());
                self.talks.insert(from, Talk::Open { name, channel, message3, offered: false });
                Some(())
            }
            MessageKind::Channel => {
                let Some(Talk::Open { name, channel, .. }) = self.talks.get_mut(&from) else { return None };
                let signal = channel.open(Instant::now(), bytes).ok()?;
                let name = name.clone();
                self.kept.signal(&name, &signal);
                self.answer(from, signal);
                Some(())
            }
            _ => None,
        }
    }

    /// Does what members do.
    fn answer(&mut self, from: TransportId, signal: Signal) {
        match signal {
            Signal::State { .. } => {
                self.say(from, &Signal::Pong { id: 0 });
                if let Some(Talk::Open { offered, .. }) = self.talks.get_mut(&from)
                    && !std::mem::replace(offered, true)
                {
                    self.network.command(Command::OpenMedia { peer: from, number: 1, patient: false });
                }
            }
            Signal::Ping { id } => self.say(from, &Signal::Pong { id }),
            Signal::MediaKey(key) => self.say(from, &Signal::MediaKeyAck { generation: key.generation }),
            Signal::Answer { sdp, .. } => self.network.command(Command::AcceptAnswer { peer: from, sdp }),
            Signal::Candidate { candidate, mid, .. } => {
                self.network.command(Command::AddCandidate { peer: from, candidate, mid });
            }
            Signal::Roster(entries) => {
                for entry in entries.into_iter().filter(|entry| entry.transport != self.me) {
                    let (peer, addresses) = (Some(entry.transport), entry.addresses);
                    self.network.command(Command::Dial { peer, addresses });
                }
            }
            _ => {}
        }
    }

    fn say(&mut self, to: TransportId, signal: &Signal) {
        let Some(Talk::Open { channel, .. }) = self.talks.get_mut(&to) else { return };
        if let Ok(sealed) = channel.seal(Instant::now(), signal, &mut self.rng) {
            self.send(to, sealed);
        }
    }
}

/// What any node of libp2p speaks.
#[derive(NetworkBehaviour)]
struct Node {
    identify: identify::Behaviour,
    kademlia: kad::Behaviour<MemoryStore>,
    relayed: relay::client::Behaviour,
    dcutr: dcutr::Behaviour,
}

/// Calls on a peer through a helper, asks the helper's hash table about it, and keeps what it is told.
async fn look_from_outside(helper: Multiaddr, peer: TransportId, key: [u8; 32], until: Instant) -> Kept {
    let mut kept = Kept::default();
    let mut swarm = node();
    let Some(Protocol::P2p(helper_id)) = helper.iter().last() else { panic!("{helper} names nobody") };
    let peer_id = PeerId::from_bytes(&peer.peer_id_bytes()).expect("a peer ID");
    for address in ["/ip4/0.0.0.0/tcp/0", "/ip4/0.0.0.0/udp/0/quic-v1"] {
        swarm.listen_on(address.parse().expect("a multiaddr")).expect("a port");
    }
    swarm.behaviour_mut().kademlia.add_address(&helper_id, helper.clone());
    swarm.dial(helper.clone()).expect("a dial");
    let mut asked = false;
    loop {
        let event = tokio::select! {
            event = swarm.select_next_some() => event,
            () = sleep_until(until.into()) => return kept,
        };
        kept.note("outside ", format!("{event:?}").as_bytes());
        let SwarmEvent::Behaviour(NodeEvent::Identify(identify::Event::Received { peer_id: from, info, .. })) = event
        else {
            continue;
        };
        info.listen_addrs.iter().for_each(|address| kept.note("address ", address.as_ref()));
        if let Some(record) = info.signed_peer_record {
            kept.note("record ", &record.into_protobuf_encoding());
        }
        kept.identified |= from == peer_id;
        if from == helper_id && !std::mem::replace(&mut asked, true) {
            let circuit = helper.clone().with(Protocol::P2pCircuit).with(Protocol::P2p(peer_id));
            swarm.dial(circuit).expect("a dial");
            swarm.behaviour_mut().kademlia.get_closest_peers(peer_id);
            // SHA-256 as a multihash: its code, its length.
            swarm.behaviour_mut().kademlia.get_providers(RecordKey::new(&[&[0x12, 0x20], &key[..]].concat()));
        }
    }
}

fn node() -> Swarm<Node> {
    let mut swarm = SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)
        .expect("TCP")
        .with_quic()
        .with_relay_client(noise::Config::new, yamux::Config::default)
        .expect("relays")
        .with_behaviour(|keypair, relayed| {
            let own = keypair.public().to_peer_id();
            let table = kad::Config::new(StreamProtocol::new("/ipfs/kad/1.0.0"));
            Node {
                identify: identify::Behaviour::new(identify::Config::new("outside/1".into(), keypair.public())),
                kademlia: kad::Behaviour::with_config(own, MemoryStore::new(own), table),
                relayed,
                dcutr: dcutr::Behaviour::new(own),
            }
        })
        .expect("behaviours")
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(60)))
        .build();
    swarm.behaviour_mut().kademlia.set_mode(Some(kad::Mode::Client));
    swarm
}
