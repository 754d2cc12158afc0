//! How packets travel by stream: a libp2p protocol of one direction, which hands its streams to this room's task as they are.
//!
//! On the wire each packet is a length (2 bytes, big-endian) and that many hop-sealed bytes. Whoever sends opens the stream; nothing
//! comes back by it. The crate `libp2p-stream` would open one by any connection to a peer that it likes: which connection is
//! what matters here.

use std::collections::VecDeque;
use std::task::{Context, Poll};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::core::upgrade::ReadyUpgrade;
use libp2p::swarm::handler::{ConnectionEvent, FullyNegotiatedInbound, FullyNegotiatedOutbound};
use libp2p::swarm::{
    ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm, NetworkBehaviour,
    NotifyHandler, Stream, SubstreamProtocol, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId, StreamProtocol};

/// The protocol of this version.
const PROTOCOL: StreamProtocol = StreamProtocol::new("/resonance/media/1");

/// Streams of one connection that wait to be handed over: the other side needs one, and another when it begins again.
const MAX_WAITING: usize = 4;

/// What a connection did.
#[derive(Debug)]
pub(super) enum Happened {
    /// Our stream is open.
    Opened(Stream),
    /// It cannot be opened.
    Refused,
    /// The other side has opened one.
    Came(Stream),
}

/// A connection did something.
#[derive(Debug)]
pub(super) struct StreamEvent {
    /// Whose connection.
    pub(super) peer: PeerId,
    /// Which.
    pub(super) connection: ConnectionId,
    /// What it did.
    pub(super) happened: Happened,
}

/// See the module.
#[derive(Default)]
pub(super) struct Behaviour {
    waiting: VecDeque<ToSwarm<StreamEvent, Open>>,
}

/// Opens a stream.
#[derive(Debug)]
pub(super) struct Open;

impl Behaviour {
    /// Opens a stream by this connection; [`Happened::Opened`] or [`Happened::Refused`] follows unless the connection closes.
    pub(super) fn open(&mut self, peer: PeerId, connection: ConnectionId) {
        let handler = NotifyHandler::One(connection);
        self.waiting.push_back(ToSwarm::NotifyHandler { peer_id: peer, handler, event: Open });
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = StreamEvent;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler::default())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler::default())
    }

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        happened: THandlerOutEvent<Self>,
    ) {
        self.waiting.push_back(ToSwarm::GenerateEvent(StreamEvent { peer, connection, happened }));
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        self.waiting.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

/// One connection's side of it.
#[derive(Default)]
pub(super) struct Handler {
    wanted: usize,
    happened: VecDeque<Happened>,
}

impl Handler {
    fn note(&mut self, happened: Happened) {
        if self.happened.len() < MAX_WAITING {
            self.happened.push_back(happened);
        }
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Open;
    type ToBehaviour = Happened;
    type InboundProtocol = ReadyUpgrade<StreamProtocol>;
    type OutboundProtocol = ReadyUpgrade<StreamProtocol>;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol> {
        SubstreamProtocol::new(ReadyUpgrade::new(PROTOCOL), ())
    }

    fn poll(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, (), Self::ToBehaviour>> {
        if let Some(happened) = self.happened.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(happened));
        }
        if self.wanted > 0 {
            self.wanted -= 1;
            let protocol = SubstreamProtocol::new(ReadyUpgrade::new(PROTOCOL), ());
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        Poll::Pending
    }

    fn on_behaviour_event(&mut self, Open: Open) {
        self.wanted = MAX_WAITING.min(self.wanted + 1);
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Self::InboundProtocol, Self::OutboundProtocol>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol: stream, .. }) => {
                self.note(Happened::Came(stream));
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol: stream, .. }) => {
                self.note(Happened::Opened(stream));
            }
            ConnectionEvent::DialUpgradeError(_) => self.note(Happened::Refused),
            _ => {}
        }
    }
}
