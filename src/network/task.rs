//! The task that owns the swarm and the media connections: commands in, events out, everything else in between.

mod dialling;
mod doubts;
mod meeting;
mod ports;
mod servers;
mod sound;
mod table;

use std::collections::HashMap;
use std::time::{Duration, Instant};

pub(super) use meeting::Meeting;

use futures::StreamExt;
use libp2p::core::ConnectedPoint;
use libp2p::swarm::{ConnectionId, DialError, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm, identify, mdns, ping, request_response};
use resonance_protocol::peer::{Address, TransportId};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::address_book::AddressBook;
use super::deliveries::Deliveries;
use super::limits::{EVENT_QUEUE, STRANGER_PATIENCE};
use super::media::Media;
use super::peer_connection::{Instruction, Opening, Shared};
use super::signalling::{Acknowledgement, MAX_MESSAGE, PROTOCOL_FAMILY};
use super::streams::Streams;
use super::swarm::{Behaviour, BehaviourEvent, Settings};
use super::{Command, Event, Undelivered, Via, address};

/// How often what has expired is looked for.
const HOUSEKEEPING: Duration = Duration::from_millis(500);

/// How long leaving may take: time for goodbyes to be flushed and sockets to be closed in order.
const CLOSING_PATIENCE: Duration = Duration::from_millis(300);

/// A peer with at least one connection.
struct Connected {
    id: PeerId,
    since: Instant,
    /// Its connections.
    connections: HashMap<ConnectionId, Link>,
    /// The application knows of it. It is told only once the peer has said something on a connection: of several dials
    /// at once all but one are given up, and those may look established here for a moment.
    announced: bool,
    /// We acknowledged a message of its: it belongs to the session.
    member: bool,
    /// Since when another connection is wanted in place of those there are.
    renewing: Option<Instant>,
}

/// One connection to a peer.
struct Link {
    /// Where it leads.
    remote: Option<Address>,
    since: Instant,
    /// The peer has said something on it.
    spoken: bool,
}

impl Connected {
    /// Met over a loopback address, so it runs on this machine.
    fn is_local(&self) -> bool {
        self.connections.values().filter_map(|link| link.remote).any(|remote| remote.ip.is_loopback())
    }
}

/// The task's state.
pub(super) struct Task {
    swarm: Swarm<Behaviour>,
    settings: Settings,
    meeting: Meeting,
    servers: servers::Servers,
    commands: mpsc::UnboundedReceiver<Command>,
    events: mpsc::Sender<Event>,
    peers: HashMap<TransportId, Connected>,
    addresses: AddressBook,
    /// Dials under way that were asked for; bounded by the limit on pending connections.
    dials: HashMap<ConnectionId, Option<TransportId>>,
    deliveries: Deliveries,
    media: Media,
    streams: Streams,
    opened: ports::Opened,
    media_events: mpsc::Receiver<(TransportId, u64, Event)>,
}

impl Task {
    /// Puts the parts together; [`run`](Self::run) sets them going.
    pub(super) fn new(
        swarm: Swarm<Behaviour>,
        settings: Settings,
        meeting: Meeting,
        shared: Shared,
        streams: Streams,
        commands: mpsc::UnboundedReceiver<Command>,
        events: mpsc::Sender<Event>,
    ) -> Self {
        let (media_sender, media_events) = mpsc::channel(EVENT_QUEUE);
        let deliveries = Deliveries::new(settings.answer_deadline);
        Self {
            swarm,
            settings,
            meeting,
            servers: servers::Servers::default(),
            commands,
            events,
            peers: HashMap::new(),
            addresses: AddressBook::default(),
            dials: HashMap::new(),
            deliveries,
            opened: ports::Opened::new(shared.ports.clone()),
            media: Media::new(shared, media_sender),
            streams,
            media_events,
        }
    }

    /// Runs until the handle is dropped, then closes everything in order.
    pub(super) async fn run(mut self) {
        let mut housekeeping = interval(HOUSEKEEPING);
        housekeeping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(command) => self.obey(command).await,
                    None => break,
                },
                event = self.swarm.select_next_some() => self.on_swarm_event(event).await,
                Some((peer, generation, event)) = self.media_events.recv() => {
                    if let Some(event) = self.media.follow(peer, generation, event) {
                        self.emit(event).await;
                    }
                }
                ended = self.streams.next_end() => {
                    if let Some(event) = ended {
                        self.emit(event).await;
                    }
                }
                Some(news) = self.opened.next() => self.port_changed(news).await,
                _ = housekeeping.tick() => {
                    let now = Instant::now();
                    self.keep_house(now);
                    self.ask_servers(now).await;
                }
            }
        }
        self.close().await;
    }

    /// Waits when the application is behind: nothing more is read from the network until it catches up.
    async fn emit(&mut self, event: Event) {
        // Nobody listens any more only when the handle is gone; the closed command queue ends the task then.
        let _ = self.events.send(event).await;
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Dial { peer, addresses } => self.dial(peer, &addresses).await,
            Command::Send { to, bytes, id } => self.send(to, bytes, id).await,
            Command::Acknowledge { receipt } => self.acknowledge(receipt),
            Command::Refuse { receipt } => drop(self.deliveries.acknowledge(receipt)),
            Command::Meet { own, keys, haste } => self.meet(own, keys, haste),
            Command::Disconnect { peer } => {
                if let Some(id) = address::peer_id(&peer) {
                    // An error only says that there was no connection.
                    let _ = self.swarm.disconnect_peer_id(id);
                }
            }
            Command::Renew { peer, addresses } => {
                self.doubt(&peer);
                self.leave_doubted(peer);
                self.dial_anew(peer, &addresses).await;
            }
            Command::OpenMedia { peer, number, patient } => {
                self.open_media(peer, number, Opening::Offer { patient }).await;
            }
            Command::AcceptOffer { peer, sdp, number } => self.open_media(peer, number, Opening::Answer(sdp)).await,
            Command::AcceptAnswer { peer, sdp } => self.media.instruct(&peer, Instruction::Answer(sdp)),
            Command::AddCandidate { peer, candidate, mid } => {
                self.media.instruct(&peer, Instruction::Candidate { candidate, mid });
            }
            Command::Servers { servers } => self.set_servers(servers).await,
            Command::Stream { peer, on } => self.want_stream(peer, on).await,
            Command::CloseMedia { peer } => self.close_media(&peer),
        }
    }

    async fn send(&mut self, to: TransportId, bytes: Vec<u8>, id: u64) {
        let refuse = |why| Event::Undelivered { to, id, why };
        if bytes.is_empty() || bytes.len() > MAX_MESSAGE {
            return self.emit(refuse(Undelivered::TooLarge)).await;
        }
        if !self.deliveries.has_room() {
            return self.emit(refuse(Undelivered::Busy)).await;
        }
        let Some(peer) = address::peer_id(&to) else {
            return self.emit(refuse(Undelivered::Unreachable)).await;
        };
        if self.settings.only.is_some() && !self.swarm.is_connected(&peer) {
            // The library would dial wherever the peer was said to be.
            return self.emit(refuse(Undelivered::Unreachable)).await;
        }
        let known: Vec<Multiaddr> = self.addresses.addresses(&peer).cloned().collect();
        self.swarm.behaviour_mut().liveness.watch(peer);
        let request = self.swarm.behaviour_mut().signalling.send_request_with_addresses(&peer, bytes, known);
        self.deliveries.sent(request, to, id);
    }

    fn acknowledge(&mut self, receipt: u64) {
        let Some((from, channel)) = self.deliveries.acknowledge(receipt) else { return };
        // An error says that the connection is gone or the time is up: the sender hears of that by itself.
        let _ = self.swarm.behaviour_mut().signalling.send_response(channel, Acknowledgement);
        self.is_member(&from);
    }

    fn is_member(&mut self, peer: &TransportId) {
        if let Some(connected) = self.peers.get_mut(peer)
            && !std::mem::replace(&mut connected.member, true)
        {
            let id = connected.id;
            self.node_proved(id);
        }
    }

    async fn on_swarm_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::NewListenAddr { address, .. } => {
                self.listens(&address).await;
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                self.doubt_tcp();
                self.close_port(&address);
                if let Some((_, compact)) = address::compact(&address) {
                    self.emit(Event::NotListening { compact }).await;
                }
            }
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.dials.remove(&connection_id);
                let asked_for = self.node_connected(peer_id, connection_id, &endpoint);
                self.on_connected(peer_id, connection_id, &endpoint, asked_for);
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, num_established, .. } => {
                self.node_disconnected(peer_id, connection_id);
                self.on_disconnected(peer_id, connection_id, num_established).await;
            }
            SwarmEvent::ExternalAddrConfirmed { address } => self.is_reached_at(address).await,
            SwarmEvent::ExternalAddrExpired { .. } => self.is_reached_no_more(),
            SwarmEvent::ListenerClosed { listener_id, .. } => self.listens_no_more(listener_id),
            SwarmEvent::OutgoingConnectionError { connection_id, peer_id, error } => {
                self.node_not_reached(peer_id);
                let Some(peer) = self.dials.remove(&connection_id) else { return };
                let reason = explain(&error);
                tracing::debug!(?peer, reason, "dial failed");
                if !peer.is_some_and(|peer| self.peers.contains_key(&peer)) {
                    self.emit(Event::DialFailed { peer, reason }).await;
                }
            }
            SwarmEvent::Behaviour(event) => self.on_behaviour_event(event).await,
            _ => {}
        }
    }

    fn on_connected(&mut self, id: PeerId, connection: ConnectionId, endpoint: &ConnectedPoint, asked_for: bool) {
        let Some(peer) = address::transport_id(&id) else {
            if !asked_for {
                // No member has such a name. An error only says that it left by itself.
                let _ = self.swarm.disconnect_peer_id(id);
            }
            return;
        };
        let remote = address::compact(endpoint.get_remote_address()).map(|(_, compact)| compact);
        if let (Some(remote), true) = (remote, endpoint.is_dialer()) {
            self.addresses.remember(id, address::multiaddr(&remote));
        }
        let new = || Connected {
            id,
            since: Instant::now(),
            connections: HashMap::new(),
            announced: false,
            member: false,
            renewing: None,
        };
        self.peers
            .entry(peer)
            .or_insert_with(new)
            .connections
            .insert(connection, Link { remote, since: Instant::now(), spoken: false });
    }

    /// The peer has spoken on this connection.
    async fn announce(&mut self, peer: TransportId, connection: ConnectionId) {
        let Some(connected) = self.peers.get_mut(&peer) else { return };
        if connected.announced {
            return self.connected_anew(peer, connection).await;
        }
        connected.announced = true;
        if let Some(link) = connected.connections.get_mut(&connection) {
            link.spoken = true;
        }
        let id = connected.id;
        let remote = connected.connections.get(&connection).and_then(|link| link.remote);
        tracing::debug!(%peer, "connected");
        self.open_streams();
        if self.was_found(&id) {
            self.tell_found(peer).await;
        }
        self.emit(Event::Connected { peer, remote }).await;
    }

    async fn on_disconnected(&mut self, id: PeerId, connection: ConnectionId, left: u32) {
        let Some(peer) = address::transport_id(&id) else { return };
        if let Some(connected) = self.peers.get_mut(&peer) {
            connected.connections.remove(&connection);
        }
        if let Some(event) = self.streams.left(peer, connection) {
            self.emit(event).await;
        }
        if left > 0 {
            self.open_streams();
            return;
        }
        self.deliveries.forget(&peer);
        self.streams.forget(&peer);
        if self.peers.remove(&peer).is_some_and(|connected| connected.announced) {
            tracing::debug!(%peer, "disconnected");
            self.look_again();
            self.emit(Event::Disconnected { peer }).await;
        }
    }

    async fn on_behaviour_event(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Signalling(event) => self.on_signalling_event(event).await,
            BehaviourEvent::Identify(identify::Event::Received { connection_id, peer_id, info }) => {
                self.on_identified(peer_id, connection_id, &info).await;
            }
            BehaviourEvent::Liveness(ping::Event { connection, result: Err(ping::Failure::Timeout), .. }) => {
                self.swarm.close_connection(connection);
            }
            BehaviourEvent::Liveness(ping::Event { peer, connection, result: Ok(rtt) }) => {
                self.shows_life(&peer, connection);
                self.on_measured(peer, connection, rtt).await;
            }
            BehaviourEvent::Streams(event) => self.on_stream_event(event).await,
            BehaviourEvent::Mdns(mdns::Event::Discovered(found)) => self.on_discovered(found).await,
            BehaviourEvent::Mdns(mdns::Event::Expired(gone)) => {
                for (id, address) in gone {
                    self.addresses.forget(&id, &without_peer(address));
                }
            }
            BehaviourEvent::Offers(event) => self.on_offer(event).await,
            event => self.on_meeting_event(event).await,
        }
    }

    async fn on_discovered(&mut self, found: Vec<(PeerId, Multiaddr)>) {
        let mut announced: Vec<TransportId> = Vec::new();
        for (id, address) in found {
            let Some(peer) = address::transport_id(&id) else { continue };
            self.addresses.remember(id, without_peer(address));
            if !announced.contains(&peer) {
                announced.push(peer);
            }
        }
        for peer in announced {
            tracing::debug!(%peer, "found on the local network");
            self.emit(Event::Discovered { peer, via: Via::Mdns }).await;
        }
    }

    async fn on_identified(&mut self, id: PeerId, connection: ConnectionId, info: &identify::Info) {
        self.close_doubted(&id, connection);
        let useful = self.node_identified(id, info);
        self.dial_awaited().await;
        self.ask_servers(Instant::now()).await;
        let Some(peer) = address::transport_id(&id) else { return };
        let Some(connected) = self.peers.get(&peer) else { return };
        if connected.announced {
            return self.connected_anew(peer, connection).await;
        }
        if !info.protocols.iter().any(|protocol| protocol.as_ref().starts_with(PROTOCOL_FAMILY)) {
            if useful {
                return;
            }
            tracing::debug!(%peer, "not a resonance peer");
            // An error only says that it left by itself.
            let _ = self.swarm.disconnect_peer_id(id);
            let reason = "what answers there is not resonance".into();
            return self.emit(Event::DialFailed { peer: Some(peer), reason }).await;
        }
        self.announce(peer, connection).await;
        if !info.protocols.contains(&self.settings.protocol) {
            self.emit(Event::ForeignVersion { peer }).await;
        }
    }

    async fn on_signalling_event(&mut self, event: request_response::Event<Vec<u8>, Acknowledgement>) {
        use request_response::{Event as Signalling, Message};
        let outcome = match event {
            Signalling::Message { peer, connection_id, message: Message::Request { request, channel, .. } } => {
                let Some(from) = address::transport_id(&peer) else { return };
                self.shows_life(&peer, connection_id);
                self.announce(from, connection_id).await;
                let received = self.deliveries.received(Instant::now(), from, request, channel);
                if received.is_none() {
                    tracing::debug!(%from, "one message too many is dropped");
                }
                received
            }
            Signalling::Message { peer, connection_id, message: Message::Response { request_id, .. } } => {
                tracing::trace!(%peer, "acknowledged");
                self.shows_life(&peer, connection_id);
                self.deliveries.answered(&request_id)
            }
            Signalling::OutboundFailure { request_id, error, .. } => self.deliveries.failed(&request_id, &error),
            Signalling::InboundFailure { .. } | Signalling::ResponseSent { .. } => None,
        };
        if let Some(event) = outcome {
            self.emit(event).await;
        }
    }

    /// Shows out strangers, who would otherwise use up the connections there may be.
    fn keep_house(&mut self, now: Instant) {
        self.deliveries.expire(now);
        self.close_replaced(now);
        let connected: Vec<TransportId> = self.peers.keys().copied().collect();
        connected.into_iter().for_each(|peer| self.leave_doubted(peer));
        self.open_streams();
        let strangers: Vec<PeerId> = self
            .peers
            .values()
            .filter(|peer| {
                peer.announced && !peer.member && now.saturating_duration_since(peer.since) > STRANGER_PATIENCE
            })
            .map(|peer| peer.id)
            .collect();
        for id in strangers {
            // An error only says that it left by itself.
            let _ = self.swarm.disconnect_peer_id(id);
        }
        self.tend_meeting(now);
    }

    async fn close(&mut self) {
        let (ring_full, unfit) = self.media.dropped();
        tracing::debug!(ring_full, unfit, "closing the network");
        self.media.close_all();
        self.streams.close_all();
        let connected: Vec<PeerId> = self.swarm.connected_peers().copied().collect();
        for id in connected {
            // An error only says that it left by itself.
            let _ = self.swarm.disconnect_peer_id(id);
        }
        let flushed = async {
            while self.swarm.connected_peers().next().is_some() {
                self.swarm.select_next_some().await;
            }
        };
        // Whoever is not flushed by then notices by the silence.
        let _ = timeout(CLOSING_PATIENCE, async { tokio::join!(flushed, self.opened.close()) }).await;
    }
}

/// The address alone, when it ends in `/p2p/…`.
fn without_peer(address: Multiaddr) -> Multiaddr {
    address::compact(&address).map_or(address, |(_, compact)| address::multiaddr(&compact))
}

/// What went wrong, without addresses: the text ends up on screens and in logs.
fn explain(error: &DialError) -> String {
    match error {
        DialError::LocalPeerId { .. } => "that is this program itself".into(),
        DialError::NoAddresses => "no address of it is known".into(),
        DialError::WrongPeerId { .. } => "somebody else answers at its address".into(),
        DialError::Denied { .. } => "there are too many connections already".into(),
        DialError::Transport(tried) => match tried.len() {
            1 => "its address does not answer".into(),
            count => format!("none of its {count} addresses answers"),
        },
        DialError::DialPeerConditionFalse(_) | DialError::Aborted => "the attempt was given up".into(),
    }
}
