//! One relayed address: whose it is, whom it may talk with, and how fast (RFC 8656 §3.2).

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use libp2p::PeerId;
use rtc::stun::message::TransactionId;
use rtc::turn::proto::channum::ChannelNumber;
use zeroize::Zeroizing;

use super::Limits;
use crate::token_bucket::TokenBucket;

/// How long an allocation lasts without being refreshed; longer wishes are cut to it (RFC 8656 §7.2 has it as default).
pub(super) const LIFETIME: Duration = Duration::from_secs(600);

/// How much longer it lasts in truth: clients refresh at half of the lifetime, so one that was refused once, for a stale
/// nonce say, comes again when the lifetime is just over.
const GRACE: Duration = Duration::from_secs(60);

/// How long a permission lasts (RFC 8656 §9).
const PERMISSION_LIFETIME: Duration = Duration::from_secs(300);

/// How long a channel lasts (RFC 8656 §12).
const CHANNEL_LIFETIME: Duration = Duration::from_secs(600);

/// Addresses that an allocation may talk with: a peer offers at most 24 candidates.
const MAX_PERMISSIONS: usize = 32;

/// Channels of an allocation, for the same reason.
const MAX_CHANNELS: usize = 32;

/// A client as the server sees it: which of its sockets it came to, and from where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Client {
    pub(super) listener: usize,
    pub(super) address: SocketAddr,
}

struct Channel {
    number: ChannelNumber,
    peer: SocketAddr,
    until: Instant,
}

/// One relayed address. `S` is the socket behind it.
pub(super) struct Allocation<S> {
    pub(super) owner: PeerId,
    pub(super) user: String,
    /// What its user signs with.
    pub(super) key: Zeroizing<Vec<u8>>,
    pub(super) relayed: SocketAddr,
    pub(super) socket: S,
    /// The request that made it: when it is repeated, so is the answer.
    pub(super) made_by: TransactionId,
    pub(super) until: Instant,
    permissions: Vec<(IpAddr, Instant)>,
    channels: Vec<Channel>,
    outward: TokenBucket,
    inward: TokenBucket,
}

impl<S> Allocation<S> {
    /// An allocation that nobody may talk through yet.
    pub(super) fn new(
        (owner, user, key): (PeerId, String, Zeroizing<Vec<u8>>),
        (relayed, socket): (SocketAddr, S),
        made_by: TransactionId,
        limits: &Limits,
        now: Instant,
    ) -> Self {
        let bucket = || TokenBucket::new(limits.burst_bytes, limits.bytes_per_second, now);
        Self {
            owner,
            user,
            key,
            relayed,
            socket,
            made_by,
            until: now + LIFETIME + GRACE,
            permissions: Vec::new(),
            channels: Vec::new(),
            outward: bucket(),
            inward: bucket(),
        }
    }

    /// Begins its lifetime anew.
    pub(super) fn refresh(&mut self, now: Instant) {
        self.until = now + LIFETIME + GRACE;
    }

    /// Lets all of these addresses through, or none when there are too many.
    pub(super) fn permit(&mut self, addresses: &[IpAddr], now: Instant) -> bool {
        self.permissions.retain(|(known, until)| *until > now && !addresses.contains(known));
        let mut new: Vec<IpAddr> = addresses.to_vec();
        new.sort_unstable();
        new.dedup();
        if self.permissions.len() + new.len() > MAX_PERMISSIONS {
            return false;
        }
        self.permissions.extend(new.into_iter().map(|ip| (ip, now + PERMISSION_LIFETIME)));
        true
    }

    /// Whether this address may be talked with.
    pub(super) fn permits(&self, ip: IpAddr, now: Instant) -> bool {
        self.permissions.iter().any(|(known, until)| *known == ip && *until > now)
    }

    /// Ties a channel to a peer, or renews it; `false` when either is tied otherwise (RFC 8656 §12.2), or there are too many.
    pub(super) fn bind(&mut self, number: ChannelNumber, peer: SocketAddr, now: Instant) -> bool {
        self.channels.retain(|channel| channel.until > now);
        let tied = |channel: &&Channel| channel.number == number || channel.peer == peer;
        let tied: Vec<&Channel> = self.channels.iter().filter(tied).collect();
        let fits = match tied[..] {
            [] => self.channels.len() < MAX_CHANNELS,
            [same] => same.number == number && same.peer == peer,
            _ => false,
        };
        if fits && self.permit(&[peer.ip()], now) {
            self.channels.retain(|channel| channel.number != number);
            self.channels.push(Channel { number, peer, until: now + CHANNEL_LIFETIME });
            return true;
        }
        false
    }

    /// Who is behind a channel.
    pub(super) fn peer_of(&self, number: ChannelNumber, now: Instant) -> Option<SocketAddr> {
        self.channels.iter().find(|channel| channel.number == number && channel.until > now).map(|channel| channel.peer)
    }

    /// The channel that leads to a peer.
    pub(super) fn channel_to(&self, peer: SocketAddr, now: Instant) -> Option<ChannelNumber> {
        self.channels.iter().find(|channel| channel.peer == peer && channel.until > now).map(|channel| channel.number)
    }

    /// Whether a packet to a peer is within the bandwidth.
    pub(super) fn spend_outward(&mut self, bytes: usize, now: Instant) -> bool {
        self.outward.take_many(bytes as f64, now)
    }

    /// Whether a packet from a peer is within the bandwidth.
    pub(super) fn spend_inward(&mut self, bytes: usize, now: Instant) -> bool {
        self.inward.take_many(bytes as f64, now)
    }
}
