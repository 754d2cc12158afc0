//! Messages under way: what we sent and nobody has answered yet, and what came in and the session has not acknowledged.

use std::collections::HashMap;
use std::io;
use std::time::{Duration, Instant};

use libp2p::core::upgrade::NegotiationError;
use libp2p::request_response::{OutboundFailure, OutboundRequestId, ResponseChannel};
use resonance_protocol::peer::TransportId;

use super::limits::{MAX_MESSAGES_UNDER_WAY, MAX_PENDING_RECEIPTS, MESSAGE_BURST, MESSAGE_RATE};
use super::signalling::Acknowledgement;
use super::{Event, Undelivered};
use crate::token_bucket::TokenBucket;

/// Share of the receipts that one peer may hold, so that no peer keeps others from being heard.
const MAX_RECEIPTS_PER_PEER: usize = MAX_PENDING_RECEIPTS / 8;

struct Receipt {
    from: TransportId,
    channel: ResponseChannel<Acknowledgement>,
    expires: Instant,
}

/// Both directions' unfinished messages.
pub(super) struct Deliveries {
    under_way: HashMap<OutboundRequestId, (TransportId, u64)>,
    receipts: HashMap<u64, Receipt>,
    next_receipt: u64,
    buckets: HashMap<TransportId, TokenBucket>,
    answer_deadline: Duration,
}

impl Deliveries {
    /// None under way. What is not acknowledged within `answer_deadline` is dropped without a word.
    pub(super) fn new(answer_deadline: Duration) -> Self {
        Self {
            under_way: HashMap::new(),
            receipts: HashMap::new(),
            next_receipt: 0,
            buckets: HashMap::new(),
            answer_deadline,
        }
    }

    /// Whether another message may be sent.
    pub(super) fn has_room(&self) -> bool {
        self.under_way.len() < MAX_MESSAGES_UNDER_WAY
    }

    /// Message `id` has been handed to libp2p.
    pub(super) fn sent(&mut self, request: OutboundRequestId, to: TransportId, id: u64) {
        self.under_way.insert(request, (to, id));
    }

    /// The other side acknowledged.
    pub(super) fn answered(&mut self, request: &OutboundRequestId) -> Option<Event> {
        let (to, id) = self.under_way.remove(request)?;
        Some(Event::Delivered { to, id })
    }

    /// No acknowledgement will come.
    pub(super) fn failed(&mut self, request: &OutboundRequestId, failure: &OutboundFailure) -> Option<Event> {
        let (to, id) = self.under_way.remove(request)?;
        let why = match failure {
            OutboundFailure::UnsupportedProtocols => Undelivered::Unsupported,
            OutboundFailure::Io(error) if is_unsupported(error) => Undelivered::Unsupported,
            OutboundFailure::Timeout | OutboundFailure::Io(_) => Undelivered::Refused,
            OutboundFailure::DialFailure | OutboundFailure::ConnectionClosed => Undelivered::Unreachable,
        };
        Some(Event::Undelivered { to, id, why })
    }

    /// A message came in. `None` when it is one too many: it is dropped, and its sender learns nothing.
    pub(super) fn received(
        &mut self,
        now: Instant,
        from: TransportId,
        bytes: Vec<u8>,
        channel: ResponseChannel<Acknowledgement>,
    ) -> Option<Event> {
        let bucket = self.buckets.entry(from).or_insert_with(|| TokenBucket::new(MESSAGE_BURST, MESSAGE_RATE, now));
        let held = self.receipts.values().filter(|receipt| receipt.from == from).count();
        if !bucket.take(now) || held >= MAX_RECEIPTS_PER_PEER || self.receipts.len() >= MAX_PENDING_RECEIPTS {
            return None;
        }
        let receipt = self.next_receipt;
        self.next_receipt += 1;
        self.receipts.insert(receipt, Receipt { from, channel, expires: now + self.answer_deadline });
        Some(Event::Message { from, bytes, receipt })
    }

    /// The session accepts message `receipt`: who sent it, and where the answer goes. `None` when it has expired.
    pub(super) fn acknowledge(&mut self, receipt: u64) -> Option<(TransportId, ResponseChannel<Acknowledgement>)> {
        self.receipts.remove(&receipt).map(|receipt| (receipt.from, receipt.channel))
    }

    /// Drops what nobody acknowledged in time.
    pub(super) fn expire(&mut self, now: Instant) {
        self.receipts.retain(|_, receipt| receipt.expires > now);
    }

    /// `peer` has no connection any more. Its messages fail by themselves; its allowance starts afresh, which costs a
    /// flooder a new connection each time.
    pub(super) fn forget(&mut self, peer: &TransportId) {
        self.buckets.remove(peer);
    }
}

/// Whether the other side's answer to the protocol's name was no: the message has gone out before it came.
fn is_unsupported(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<NegotiationError>());
    matches!(inner, Some(NegotiationError::Failed))
}
