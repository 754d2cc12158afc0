//! What clients ask of the server: Binding (RFC 8489), Allocate, Refresh, CreatePermission, ChannelBind (RFC 8656).

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libp2p::PeerId;
use rtc::stun::attributes::{ATTR_EVEN_PORT, ATTR_NONCE, ATTR_REALM, ATTR_REQUESTED_ADDRESS_FAMILY, ATTR_USERNAME};
use rtc::stun::error_code::{
    CODE_ADDR_FAMILY_NOT_SUPPORTED, CODE_ALLOC_MISMATCH, CODE_ALLOC_QUOTA_REACHED, CODE_BAD_REQUEST, CODE_FORBIDDEN,
    CODE_INSUFFICIENT_CAPACITY, CODE_PEER_ADDR_FAMILY_MISMATCH, CODE_STALE_NONCE, CODE_UNAUTHORIZED,
    CODE_UNKNOWN_ATTRIBUTE, CODE_UNSUPPORTED_TRANS_PROTO, CODE_WRONG_CREDENTIALS, ErrorCode,
};
use rtc::stun::message::{
    METHOD_ALLOCATE, METHOD_BINDING, METHOD_CHANNEL_BIND, METHOD_CREATE_PERMISSION, METHOD_REFRESH, Message,
};
use rtc::stun::textattrs::TextAttribute;
use rtc::stun::xoraddr::XorMappedAddress;
use rtc::turn::proto::PROTO_UDP;
use rtc::turn::proto::channum::ChannelNumber;
use rtc::turn::proto::lifetime::Lifetime;
use rtc::turn::proto::relayaddr::RelayedAddress;
use rtc::turn::proto::reqfamily::{REQUESTED_FAMILY_IPV4, RequestedAddressFamily};
use rtc::turn::proto::reqtrans::RequestedTransport;
use zeroize::Zeroizing;

use super::REALM;
use super::allocation::{Allocation, Client, LIFETIME};
use super::machine::{Machine, Opener, peer_named};
use super::wire::{self, Reply};
use crate::token_bucket::network;

/// How long a nonce is good for: less than an hour (RFC 8489 §9.2.5), and at no multiple of the times at which clients
/// refresh, so that of two refreshes that meet a stale one at least one comes in time.
const NONCE_LIFETIME: Duration = Duration::from_secs(3_400);

/// Sockets that are tried until one has an even port: each second one has.
const EVEN_PORT_TRIES: usize = 16;

/// The flag of EVEN-PORT that asks for the next port, too (RFC 8656 §18.6).
const RESERVE_NEXT: u8 = 0x80;

/// Who signed a request.
struct Signer {
    owner: PeerId,
    user: String,
    key: Zeroizing<Vec<u8>>,
}

impl<S: Clone> Machine<S> {
    /// Answers a request, or leaves it unanswered.
    pub(super) fn on_request(
        &mut self,
        now: Instant,
        client: Client,
        request: &Message,
        open: Opener<'_, S>,
    ) -> Option<Vec<u8>> {
        if !wire::is_intact(request) {
            return None;
        }
        let unknown = wire::unknown(request);
        if request.typ.method == METHOD_BINDING {
            return self.answers_stranger(now, client).then(|| match unknown[..] {
                [] => Reply::success(request).with(&mapped(client.address)).plain(),
                _ => Reply::error(request, CODE_UNKNOWN_ATTRIBUTE).with_unknown(&unknown).plain(),
            })?;
        }
        let signer = match self.authenticate(now, client, request) {
            Ok(signer) => signer,
            Err(code) => return self.send_away(now, client, request, code),
        };
        let reply = if unknown.is_empty() {
            match request.typ.method {
                METHOD_ALLOCATE => self.allocate(now, client, request, &signer, open),
                METHOD_REFRESH => self.refresh(now, client, request),
                METHOD_CREATE_PERMISSION => self.create_permission(now, client, request),
                METHOD_CHANNEL_BIND => self.bind_channel(now, client, request),
                _ => Err(CODE_BAD_REQUEST),
            }
            .unwrap_or_else(|code| Reply::error(request, code))
        } else {
            Reply::error(request, CODE_UNKNOWN_ATTRIBUTE).with_unknown(&unknown)
        };
        reply.signed(&signer.key, self.crypto.crypto())
    }

    /// Who signed the request, or the error that tells the client what to do (RFC 8489 §9.2.4).
    fn authenticate(&mut self, now: Instant, client: Client, request: &Message) -> Result<Signer, ErrorCode> {
        if !wire::has_signature(request) {
            return Err(CODE_UNAUTHORIZED);
        }
        let named = [ATTR_USERNAME, ATTR_REALM, ATTR_NONCE].map(|kind| wire::text(request, kind));
        let [Some(user), Some(realm), Some(nonce)] = named else { return Err(CODE_BAD_REQUEST) };
        if !self.is_fresh(now, client.address, &nonce) {
            return Err(CODE_STALE_NONCE);
        }
        let signer = self.signer(now, client, user);
        let Some(signer) =
            signer.filter(|signer| realm == REALM && wire::is_signed(request, &signer.key, self.crypto.crypto()))
        else {
            self.figures.refused_credentials += 1;
            return Err(CODE_UNAUTHORIZED);
        };
        // Nobody takes over another's allocation (RFC 8656 §5). New credentials of the same owner are as good as its old.
        match self.allocations.get(&client) {
            Some(allocation) if allocation.owner != signer.owner => Err(CODE_WRONG_CREDENTIALS),
            _ => Ok(signer),
        }
    }

    /// A user that may begin something, or the one that an allocation belongs to while its owner has current credentials.
    fn signer(&self, now: Instant, client: Client, user: String) -> Option<Signer> {
        let own = self.allocations.get(&client).filter(|allocation| allocation.user == user && allocation.until > now);
        if let Some(own) = own.filter(|allocation| self.issuer.is_current(&allocation.owner, now)) {
            return Some(Signer { owner: own.owner, user, key: own.key.clone() });
        }
        let owner = self.issuer.owner(&user, now)?;
        let key = self.issuer.signing_key(&user)?;
        Some(Signer { owner, user, key })
    }

    fn send_away(&mut self, now: Instant, client: Client, request: &Message, code: ErrorCode) -> Option<Vec<u8>> {
        if !self.answers_stranger(now, client) {
            return None;
        }
        let mut reply = Reply::error(request, code);
        if code == CODE_UNAUTHORIZED || code == CODE_STALE_NONCE {
            reply = reply
                .with(&TextAttribute::new(ATTR_REALM, REALM.into()))
                .with(&TextAttribute::new(ATTR_NONCE, self.nonce(now, client.address)?));
        }
        reply.plain()
    }

    /// A nonce says when it was made and for whom, under a tag: the server keeps none of them.
    fn nonce(&self, now: Instant, client: SocketAddr) -> Option<String> {
        let made = u32::try_from(now.saturating_duration_since(self.begun).as_secs()).ok()?.to_be_bytes();
        Some(URL_SAFE_NO_PAD.encode([&made[..], &self.nonce_tag(&made, client)?].concat()))
    }

    fn nonce_tag(&self, made: &[u8], client: SocketAddr) -> Option<[u8; 12]> {
        self.issuer.nonce_tag(&[made, client.to_string().as_bytes()])
    }

    fn is_fresh(&self, now: Instant, client: SocketAddr, nonce: &str) -> bool {
        let Ok(bytes) = URL_SAFE_NO_PAD.decode(nonce) else { return false };
        let Some((made, tag)) = bytes.split_first_chunk::<4>() else { return false };
        let age = now.saturating_duration_since(self.begun).as_secs().checked_sub(u32::from_be_bytes(*made).into());
        age.is_some_and(|age| age < NONCE_LIFETIME.as_secs())
            && self.nonce_tag(made, client).is_some_and(|expected| wire::same(&expected, tag))
    }

    fn allocate(
        &mut self,
        now: Instant,
        client: Client,
        request: &Message,
        signer: &Signer,
        open: Opener<'_, S>,
    ) -> Result<Reply, ErrorCode> {
        self.expire(now);
        if let Some(there) = self.allocations.get(&client) {
            // The same request once more: its answer was lost.
            let again = there.made_by == request.transaction_id;
            return if again { Ok(allocated(request, client, there.relayed)) } else { Err(CODE_ALLOC_MISMATCH) };
        }
        // An older user of a current owner renews what it has and begins nothing.
        self.issuer.owner(&signer.user, now).ok_or(CODE_UNAUTHORIZED)?;
        match wire::attribute::<RequestedTransport>(request) {
            None => return Err(CODE_BAD_REQUEST),
            Some(transport) if transport.protocol != PROTO_UDP => return Err(CODE_UNSUPPORTED_TRANS_PROTO),
            Some(_) => {}
        }
        let announced = self.relayed_from(request)?;
        let quota = |machine: &mut Self, code| {
            machine.figures.refused_quota += 1;
            Err(code)
        };
        let own = self.allocations.values().filter(|allocation| allocation.owner == signer.owner).count();
        let place = network(client.address.ip());
        let near = self.allocations.keys().filter(|client| network(client.address.ip()) == place).count();
        if own >= self.limits.allocations_per_user || near >= self.limits.allocations_per_network {
            return quota(self, CODE_ALLOC_QUOTA_REACHED);
        }
        if self.allocations.len() >= self.limits.allocations {
            return quota(self, CODE_INSUFFICIENT_CAPACITY);
        }
        let Some((relayed, socket)) = self.open(request, announced, open) else {
            return quota(self, CODE_INSUFFICIENT_CAPACITY);
        };
        let identity = (signer.owner, signer.user.clone(), signer.key.clone());
        let allocation = Allocation::new(identity, (relayed, socket), request.transaction_id, &self.limits, now);
        self.allocations.insert(client, allocation);
        self.relayed.insert(relayed, client);
        self.figures.allocated += 1;
        Ok(allocated(request, client, relayed))
    }

    /// A socket for a relayed address, on an even port if that is asked for (RFC 8656 §7.2). No second one is reserved.
    fn open(&self, request: &Message, announced: IpAddr, open: Opener<'_, S>) -> Option<(SocketAddr, S)> {
        let wanted = request.get(ATTR_EVEN_PORT).ok();
        if wanted.as_ref().is_some_and(|wanted| wanted.first().is_none_or(|flags| flags & RESERVE_NEXT != 0)) {
            return None;
        }
        let fits = |relayed: &SocketAddr| {
            !self.relayed.contains_key(relayed) && (wanted.is_none() || relayed.port().is_multiple_of(2))
        };
        (0..EVEN_PORT_TRIES).find_map(|_| open(announced).filter(|(relayed, _)| fits(relayed)))
    }

    /// The address of ours that a new relayed address is announced at.
    fn relayed_from(&self, request: &Message) -> Result<IpAddr, ErrorCode> {
        let of_family = |v4: bool| self.announced.iter().copied().find(|ip| ip.is_ipv4() == v4);
        let found = if request.contains(ATTR_REQUESTED_ADDRESS_FAMILY) {
            let family: RequestedAddressFamily = wire::attribute(request).ok_or(CODE_ADDR_FAMILY_NOT_SUPPORTED)?;
            of_family(family == REQUESTED_FAMILY_IPV4)
        } else {
            // IPv4 it is when nothing is said (RFC 8656 §7.2); a server without it gives what it has.
            of_family(true).or_else(|| of_family(false))
        };
        found.ok_or(CODE_ADDR_FAMILY_NOT_SUPPORTED)
    }

    fn refresh(&mut self, now: Instant, client: Client, request: &Message) -> Result<Reply, ErrorCode> {
        let allocation = self.living(now, client)?;
        let ends = wire::attribute::<Lifetime>(request).is_some_and(|lifetime| lifetime.0.is_zero());
        if ends {
            self.end(&client);
            return Ok(Reply::success(request).with(&Lifetime(Duration::ZERO)));
        }
        allocation.refresh(now);
        Ok(Reply::success(request).with(&Lifetime(LIFETIME)))
    }

    fn create_permission(&mut self, now: Instant, client: Client, request: &Message) -> Result<Reply, ErrorCode> {
        let peers = wire::peers(request).filter(|peers| !peers.is_empty()).ok_or(CODE_BAD_REQUEST)?;
        // One unlawful address among several must not cost the others their renewal.
        let (mut lawful, mut refusal) = (Vec::new(), CODE_FORBIDDEN);
        for peer in peers.into_iter().map(|peer| peer.ip().to_canonical()) {
            match self.lawful(now, client, peer) {
                Ok(()) => lawful.push(peer),
                Err(code) => refusal = code,
            }
        }
        if lawful.is_empty() {
            return Err(refusal);
        }
        let permitted = self.living(now, client)?.permit(&lawful, now);
        permitted.then(|| Reply::success(request)).ok_or(CODE_INSUFFICIENT_CAPACITY)
    }

    fn bind_channel(&mut self, now: Instant, client: Client, request: &Message) -> Result<Reply, ErrorCode> {
        let peer = peer_named(request).filter(|peer| peer.port() != 0).ok_or(CODE_BAD_REQUEST)?;
        let number: ChannelNumber = wire::attribute(request).ok_or(CODE_BAD_REQUEST)?;
        if !number.valid() {
            return Err(CODE_BAD_REQUEST);
        }
        self.lawful(now, client, peer.ip())?;
        let bound = self.living(now, client)?.bind(number, peer, now);
        bound.then(|| Reply::success(request)).ok_or(CODE_BAD_REQUEST)
    }

    /// Whether a client's allocation may ever send there.
    fn lawful(&mut self, now: Instant, client: Client, peer: IpAddr) -> Result<(), ErrorCode> {
        let relayed = self.living(now, client)?.relayed;
        if !wire::same_family(relayed.ip(), peer) {
            return Err(CODE_PEER_ADDR_FAMILY_MISMATCH);
        }
        if self.destinations.is_own(peer) || self.destinations.allows(peer) {
            return Ok(());
        }
        self.figures.refused_destination += 1;
        Err(CODE_FORBIDDEN)
    }

    fn living(&mut self, now: Instant, client: Client) -> Result<&mut Allocation<S>, ErrorCode> {
        self.allocations.get_mut(&client).filter(|allocation| allocation.until > now).ok_or(CODE_ALLOC_MISMATCH)
    }
}

fn allocated(request: &Message, client: Client, relayed: SocketAddr) -> Reply {
    Reply::success(request)
        .with(&RelayedAddress { ip: relayed.ip(), port: relayed.port() })
        .with(&mapped(client.address))
        .with(&Lifetime(LIFETIME))
}

fn mapped(address: SocketAddr) -> XorMappedAddress {
    let address = wire::canonical(address);
    XorMappedAddress { ip: address.ip(), port: address.port() }
}
