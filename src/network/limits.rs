//! Every bound of this room in one place, each with its reason.

use std::time::Duration;

/// libp2p connections in total: seven members with a connection of each transport and direction, as many strangers, and the nodes of the
/// distributed hash table that are being asked.
pub(super) const MAX_CONNECTIONS: u32 = 192;

/// libp2p connections that others began.
pub(super) const MAX_INCOMING: u32 = 64;

/// Connections to one peer: both sides may dial at once over TCP and QUIC, and each may try out both whether the other is reached.
pub(super) const MAX_CONNECTIONS_PER_PEER: u32 = 8;

/// Connections that are still being set up by others.
pub(super) const MAX_PENDING_CONNECTIONS: u32 = 32;

/// Connections that we are setting up: to nodes of the distributed hash table, and to those found there.
pub(super) const MAX_PENDING_DIALS: u32 = 96;

/// Addresses of one peer that are dialled at once: a link carries 6, a roster entry 8.
pub(super) const MAX_ADDRESSES_PER_PEER: usize = 16;

/// Peers found in the distributed hash table that are being dialled, or are connected and have proved nothing: anybody may be found there.
pub(super) const MAX_UNPROVED: usize = 32;

/// How long somebody found there may take to prove that it belongs to the session.
pub(super) const PROOF_PATIENCE: Duration = Duration::from_secs(10);

/// How long a node of the distributed hash table stays connected: longer than a query.
pub(super) const NODE_PATIENCE: Duration = Duration::from_secs(45);

/// Peers who are to be reached through a helper once one is connected.
pub(super) const MAX_AWAITED: usize = 64;

/// Reservations that members may hold with us: seven members, each perhaps twice while its connection is replaced.
pub(super) const MAX_RELAYED: usize = 16;

/// Peers whose addresses are remembered: on a busy network most of those found belong to other sessions.
pub(super) const MAX_REMEMBERED_PEERS: usize = 64;

/// Messages that wait for an answer from others.
pub(super) const MAX_MESSAGES_UNDER_WAY: usize = 256;

/// Messages from others that the session has not yet acknowledged, in total.
pub(super) const MAX_PENDING_RECEIPTS: usize = 256;

/// Signalling streams at once on one connection: a handshake, a description and a handful of reports overlap.
pub(super) const MAX_STREAMS_PER_CONNECTION: usize = 64;

/// Messages that one peer may send at once: a join brings a handshake, an offer, candidates, keys and a roster.
pub(super) const MESSAGE_BURST: f64 = 60.0;

/// Messages per second that one peer may keep up: reports, pings and keys come to fewer than 10.
pub(super) const MESSAGE_RATE: f64 = 20.0;

/// Packets that may wait for a stream to take them: 60 ms. What waits longer is worth less than what comes after it.
pub(super) const STREAM_QUEUE: usize = 6;

/// Media connections at once: seven members, each perhaps being replaced.
pub(super) const MAX_MEDIA_CONNECTIONS: usize = 14;

/// RTP packets that one peer may send at once: what a stalled link lets go in one go.
pub(super) const PACKET_BURST: f64 = 400.0;

/// RTP packets per second that one peer may keep up: twice the shortest frame's rate (2.5 ms).
pub(super) const PACKET_RATE: f64 = 800.0;

/// Events that wait for the application before this room stops reading from the network.
pub(super) const EVENT_QUEUE: usize = 1_024;

/// How long a connection may last whose peer never showed that it belongs to the session.
pub(super) const STRANGER_PATIENCE: Duration = Duration::from_secs(60);

/// How long libp2p keeps an idle connection: longer than any session, since strangers are shown out above.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);
