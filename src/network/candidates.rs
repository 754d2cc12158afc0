//! Where media may flow: our own addresses to offer, and which of the other side's to believe.

use std::net::{IpAddr, SocketAddr};

use rtc::shared::ifaces;

/// Addresses to offer at most: each is a socket for each peer, and pairs grow with the square.
const MAX_LOCAL_ADDRESSES: usize = 8;

/// Candidates of the other side at most, for the same reason.
pub(super) const MAX_REMOTE_CANDIDATES: usize = 24;

/// Longest session description in bytes that is read: the largest padded signal.
pub(super) const MAX_DESCRIPTION: usize = 16 * 1024;

/// What such candidates have in common, and share with no other of ours (RFC 8445 §5.1.1.3): those are numbered by hashes.
const MAPPED: &str = "mapped";

/// Longest candidate line in bytes that is read.
const MAX_CANDIDATE: usize = 256;

/// Whether addresses that mean "this machine" are of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loopback {
    /// The peer was met over loopback, so it runs here.
    Offer,
    /// Only when there is nothing else, as in a sandbox.
    LastResort,
}

/// One UDP address to bind for each address of this machine that others might reach.
pub(super) fn local_addresses(loopback: Loopback) -> Vec<SocketAddr> {
    let found = ifaces::ifaces().unwrap_or_default();
    choose(found.into_iter().filter_map(|interface| Some(interface.addr?.ip())), loopback)
}

fn choose(found: impl Iterator<Item = IpAddr>, loopback: Loopback) -> Vec<SocketAddr> {
    let mut reachable: Vec<IpAddr> = Vec::new();
    let mut own: Vec<IpAddr> = Vec::new();
    for ip in found.filter(|ip| !ip.is_unspecified() && !needs_scope(ip)) {
        let group = if ip.is_loopback() { &mut own } else { &mut reachable };
        if !group.contains(&ip) {
            group.push(ip);
        }
    }
    // Addresses of the older family are nearly always the ones that a home network routes.
    reachable.sort_by_key(IpAddr::is_ipv6);
    reachable.truncate(MAX_LOCAL_ADDRESSES);
    if loopback == Loopback::Offer || reachable.is_empty() {
        own.sort_by_key(IpAddr::is_ipv6);
        reachable.extend(own.first());
    }
    reachable.into_iter().map(|ip| SocketAddr::new(ip, 0)).collect()
}

/// IPv6 link-local addresses mean something only together with an interface, which a candidate cannot carry.
fn needs_scope(ip: &IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

/// Why a description from the other side was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum DescriptionError {
    /// Larger than any that a resonance peer makes.
    #[error("the description is too long")]
    TooLong,
    /// Control characters where none belong: two readers could disagree about where its lines end.
    #[error("the description is garbled")]
    Garbled,
    /// Not exactly one audio section.
    #[error("the description is not one of a single audio stream")]
    NotOneVoice,
    /// No SHA-256 fingerprint, so nothing would tie the media to the sealed signal.
    #[error("the description has no certificate fingerprint")]
    NoFingerprint,
}

/// Checks a description that came under seal, and leaves out candidates that must not be tried.
///
/// # Errors
///
/// See [`DescriptionError`].
pub(super) fn vet_description(sdp: &str) -> Result<String, DescriptionError> {
    if sdp.len() > MAX_DESCRIPTION {
        return Err(DescriptionError::TooLong);
    }
    if sdp.lines().any(|line| line.contains(|c: char| c.is_control())) {
        return Err(DescriptionError::Garbled);
    }
    let mut sections = sdp.lines().filter(|line| line.starts_with("m="));
    if !sections.next().is_some_and(|line| line.starts_with("m=audio ")) || sections.next().is_some() {
        return Err(DescriptionError::NotOneVoice);
    }
    if !sdp.lines().any(|line| line.to_ascii_lowercase().starts_with("a=fingerprint:sha-256 ")) {
        return Err(DescriptionError::NoFingerprint);
    }
    let mut kept = 0;
    let mut vetted = String::with_capacity(sdp.len());
    for line in sdp.lines() {
        if let Some(candidate) = line.strip_prefix("a=candidate:") {
            if kept >= MAX_REMOTE_CANDIDATES || !is_usable(candidate) {
                continue;
            }
            kept += 1;
        }
        vetted.push_str(line);
        vetted.push_str("\r\n");
    }
    Ok(vetted)
}

/// Whether a trickled candidate line (RFC 8839 §5.1) may be tried.
pub(super) fn vet_candidate(line: &str) -> bool {
    let line = line.strip_prefix("a=").unwrap_or(line);
    line.len() <= MAX_CANDIDATE && is_usable(line.strip_prefix("candidate:").unwrap_or(line))
}

/// Our description without any address but those of relays, whatever is gathered (RFC 8866 §5.2, §5.7: lines `o=`, `c=`).
pub(super) fn relayed_only(sdp: &str) -> String {
    const NOWHERE: &str = "IN IP4 0.0.0.0";
    let mut shown = String::with_capacity(sdp.len());
    for line in sdp.lines() {
        let line = match line.split_once('=') {
            Some(("a", attribute)) if attribute.starts_with("candidate:") => match relayed(attribute) {
                Some(candidate) => format!("a={candidate}"),
                None => continue,
            },
            Some(("a", attribute)) if attribute.starts_with("rtcp:") => format!("a=rtcp:9 {NOWHERE}"),
            Some(("c", _)) => format!("c={NOWHERE}"),
            Some(("o", origin)) => {
                let id: Vec<&str> = origin.split_ascii_whitespace().take(3).collect();
                format!("o={} {NOWHERE}", id.join(" "))
            }
            _ => line.to_owned(),
        };
        shown.push_str(&line);
        shown.push_str("\r\n");
    }
    shown
}

/// One of our candidate lines as others may see it: a relay's, without the address that the relay knows us by (RFC 8839
/// §5.1 has 0.0.0.0 and 9 for that); `None` for all others.
pub(super) fn relayed(line: &str) -> Option<String> {
    let parts: Vec<&str> = line.split_ascii_whitespace().take(8).collect();
    match parts[..] {
        [.., "typ", "relay"] if parts.len() == 8 => Some(format!("{} raddr 0.0.0.0 rport 9", parts.join(" "))),
        _ => None,
    }
}

/// Our sockets in a description of ours: its host candidates over UDP.
pub(super) fn own_sockets(sdp: &str) -> impl Iterator<Item = SocketAddr> {
    sdp.lines().filter_map(|line| {
        let parts: Vec<&str> = line.strip_prefix("a=candidate:")?.split_ascii_whitespace().take(8).collect();
        let [_, _, transport, _, address, port, "typ", "host"] = parts[..] else { return None };
        let at = SocketAddr::new(address.parse().ok()?, port.parse().ok()?);
        transport.eq_ignore_ascii_case("udp").then_some(at)
    })
}

/// The candidate line for a port that a router has opened for our socket `base`. It is server-reflexive: the standard has
/// no other name for an address of a NAT's (RFC 8445 §5.1.1, §5.1.2: its priority).
pub(super) fn mapped(external: SocketAddr, base: SocketAddr) -> String {
    const PRIORITY: u32 = 100 << 24 | 0xFFFF << 8 | 0xFF;
    format!(
        "candidate:{MAPPED} 1 udp {PRIORITY} {} {} typ srflx raddr {} rport {}",
        external.ip(),
        external.port(),
        base.ip(),
        base.port()
    )
}

/// UDP to one literal address only: a host name would make us ask a name server, TCP would make us connect anywhere.
fn is_usable(candidate: &str) -> bool {
    let parts: Vec<&str> = candidate.split_ascii_whitespace().take(8).collect();
    let [_, _, transport, _, address, port, "typ", _] = parts[..] else { return false };
    let Ok(ip) = address.parse::<IpAddr>() else { return false };
    let one_host = match ip {
        IpAddr::V4(ip) => !ip.is_unspecified() && !ip.is_multicast() && !ip.is_broadcast(),
        IpAddr::V6(v6) => !v6.is_unspecified() && !v6.is_multicast() && !needs_scope(&ip),
    };
    one_host && transport.eq_ignore_ascii_case("udp") && port.parse::<u16>().is_ok_and(|port| port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(found: &[&str], loopback: Loopback) -> Vec<String> {
        choose(found.iter().map(|ip| ip.parse().unwrap()), loopback).iter().map(|a| a.ip().to_string()).collect()
    }

    #[test]
    fn loopback_is_offered_when_it_is_all_there_is_or_the_peer_is_here() {
        assert_eq!(offered(&["127.0.0.1", "::1"], Loopback::LastResort), ["127.0.0.1"]);
        let machine = ["127.0.0.1", "fe80::1", "2001:db8::1", "10.0.0.2", "10.0.0.2"];
        assert_eq!(offered(&machine, Loopback::LastResort), ["10.0.0.2", "2001:db8::1"]);
        assert_eq!(offered(&machine, Loopback::Offer), ["10.0.0.2", "2001:db8::1", "127.0.0.1"]);
    }

    #[test]
    fn a_machine_with_many_addresses_offers_a_bounded_number() {
        let many: Vec<IpAddr> = (1..100).map(|last| [10, 0, 0, last].into()).collect();
        assert_eq!(choose(many.into_iter(), Loopback::LastResort).len(), MAX_LOCAL_ADDRESSES);
    }

    const DESCRIPTION: &str = "v=0\r\na=fingerprint:sha-256 AB:CD\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n";

    #[test]
    fn only_one_authenticated_voice_is_accepted() {
        assert_eq!(vet_description(DESCRIPTION).unwrap(), DESCRIPTION);
        let two = format!("{DESCRIPTION}m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n");
        assert_eq!(vet_description(&two), Err(DescriptionError::NotOneVoice));
        let data = DESCRIPTION.replace("audio", "application");
        assert_eq!(vet_description(&data), Err(DescriptionError::NotOneVoice));
        let unbound = DESCRIPTION.replace("fingerprint", "fing");
        assert_eq!(vet_description(&unbound), Err(DescriptionError::NoFingerprint));
        let smuggled = format!("{DESCRIPTION}a=x\ra=candidate:1 1 tcp 1 10.0.0.2 9 typ host\r\n");
        assert_eq!(vet_description(&smuggled), Err(DescriptionError::Garbled));
        let long = format!("{DESCRIPTION}{}", "a=x\r\n".repeat(4_000));
        assert_eq!(vet_description(&long), Err(DescriptionError::TooLong));
    }

    #[test]
    fn what_is_shown_in_relayed_mode_has_no_address_but_the_relays() {
        let relay = "candidate:4 1 udp 16777215 198.51.100.9 50000 typ relay";
        let mine = ["192.0.2.77", "2001:db8::77", "10.7.7.7"];
        let sdp = format!(
            "v=0\r\no=- 42 2 IN IP4 {0}\r\nc=IN IP6 {1}\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 {2}\r\n\
             a=rtcp:4444 IN IP4 {0}\r\na=candidate:1 1 udp 2130706431 {2} 40000 typ host\r\n\
             a=candidate:2 1 udp 1694498815 {0} 40000 typ srflx raddr {2} rport 40000\r\n\
             a=candidate:3 1 udp 1862270975 {1} 40000 typ prflx\r\na={relay} raddr {0} rport 40000 generation 0\r\n",
            mine[0], mine[1], mine[2],
        );
        let shown = relayed_only(&sdp);
        assert!(mine.iter().all(|address| !shown.contains(address)), "{shown}");
        assert_eq!(
            shown,
            format!(
                "v=0\r\no=- 42 2 IN IP4 0.0.0.0\r\nc=IN IP4 0.0.0.0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n\
                 c=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\na={relay} raddr 0.0.0.0 rport 9\r\n"
            )
        );
        assert_eq!(relayed("candidate:1 1 udp 1 10.0.0.2 4 typ host"), None);
        assert_eq!(relayed("typ relay"), None);
        assert!(vet_candidate(&relayed(relay).unwrap()), "the other side takes it");
    }

    #[test]
    fn a_port_that_the_router_opened_is_a_candidate_that_the_other_side_takes() {
        let sdp = "a=candidate:1 1 udp 2130706431 192.168.1.2 40000 typ host\r\na=candidate:2 1 udp 1 203.0.113.5 41000 typ srflx\r\n\
                   a=candidate:3 1 udp 2130706431 2001:db8::2 42000 typ host generation 0\r\n\
                   a=candidate:4 1 tcp 2130706431 192.168.1.2 9 typ host\r\n";
        let sockets: Vec<SocketAddr> = own_sockets(sdp).collect();
        let shown: Vec<String> = sockets.iter().map(SocketAddr::to_string).collect();
        assert_eq!(shown, ["192.168.1.2:40000", "[2001:db8::2]:42000"]);
        let line = mapped("203.0.113.5:40001".parse().unwrap(), sockets[0]);
        assert_eq!(line, "candidate:mapped 1 udp 1694498815 203.0.113.5 40001 typ srflx raddr 192.168.1.2 rport 40000");
        assert!(vet_candidate(&line) && relayed(&line).is_none());
    }

    #[test]
    fn candidates_that_would_make_us_do_other_things_are_left_out() {
        let good = "a=candidate:1 1 udp 2130706431 10.0.0.2 40000 typ host\r\n";
        let bad = [
            "a=candidate:1 1 tcp 2130706431 10.0.0.2 40000 typ host tcptype passive\r\n",
            "a=candidate:1 1 udp 2130706431 printer.example 40000 typ host\r\n",
            "a=candidate:1 1 udp 2130706431 224.0.0.251 5353 typ host\r\n",
            "a=candidate:1 1 udp 2130706431 255.255.255.255 9 typ host\r\n",
            "a=candidate:1 1 udp 2130706431 10.0.0.2 0 typ host\r\n",
            "a=candidate:1 1 udp 2130706431 fe80::1 40000 typ host\r\n",
            "a=candidate:nonsense\r\n",
        ];
        let mixed = format!("{DESCRIPTION}{}{good}", bad.concat());
        assert_eq!(vet_description(&mixed).unwrap(), format!("{DESCRIPTION}{good}"));
        let flood = format!("{DESCRIPTION}{}", good.repeat(MAX_REMOTE_CANDIDATES * 3));
        assert_eq!(vet_description(&flood).unwrap().matches("a=candidate").count(), MAX_REMOTE_CANDIDATES);
        assert!(vet_candidate("candidate:1 1 udp 2130706431 2001:db8::2 40000 typ host generation 0"));
        assert!(!vet_candidate(&format!("candidate:1 1 udp 1 10.0.0.2 4 typ host {}", "x".repeat(300))));
    }
}
