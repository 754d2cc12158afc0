//! Routers that open ports when asked: UPnP IGD, NAT-PMP (RFC 6886), PCP (RFC 6887). Nothing is opened here.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use igd_next::SearchOptions;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::PATIENCE;

/// What asks for the external address by NAT-PMP: version 0, opcode 0 (RFC 6886 §3.2).
const NAT_PMP_QUESTION: [u8; 2] = [0, 0];

/// Version 2, opcode 0 (ANNOUNCE) of PCP: it changes nothing and is answered (RFC 6887 §14.1). After these two bytes come a
/// reserved field, a lifetime of 0 and our address.
const PCP_QUESTION: [u8; 2] = [2, 0];

/// Bytes of the header that every message of PCP begins with (RFC 6887 §7).
const PCP_HEADER: usize = 24;

/// How long an answer is waited for, once for each try (RFC 6886 §3.1 begins with 250 ms and doubles).
const TRIES: [Duration; 4] =
    [Duration::from_millis(250), Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];

/// A router that would open ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Router {
    /// `UPnP`, `NAT-PMP` or `PCP`.
    pub speaks: &'static str,
    /// Its own address towards the world, if it tells.
    pub external: Option<IpAddr>,
}

/// All that are found.
pub async fn routers() -> Vec<Router> {
    let (upnp, pmp, pcp) = tokio::join!(upnp(), nat_pmp(), pcp());
    upnp.into_iter().chain(pmp).chain(pcp).collect()
}

async fn upnp() -> Option<Router> {
    let options = SearchOptions { timeout: Some(PATIENCE), ..SearchOptions::default() };
    let gateway = timeout(PATIENCE, igd_next::aio::tokio::search_gateway(options)).await.ok()?.ok()?;
    let external = timeout(PATIENCE, gateway.get_external_ip()).await.ok().and_then(Result::ok);
    Some(Router { speaks: "UPnP", external })
}

async fn nat_pmp() -> Option<Router> {
    let answers = ask(|_| Some(NAT_PMP_QUESTION.to_vec())).await?;
    parse_nat_pmp(&answers)
}

async fn pcp() -> Option<Router> {
    let question = |own| {
        let IpAddr::V4(own) = own else { return None };
        let mut question = PCP_QUESTION.to_vec();
        question.resize(8, 0);
        question.extend_from_slice(&own.to_ipv6_mapped().octets());
        Some(question)
    };
    let answer = ask(question).await?;
    speaks_pcp(&answer).then_some(Router { speaks: "PCP", external: None })
}

/// What the router answers to a datagram, which is told our own address.
async fn ask(question: impl FnOnce(IpAddr) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind("0.0.0.0:0").await.ok()?;
    socket.connect((gateway()?, crab_nat::GATEWAY_PORT)).await.ok()?;
    let question = question(socket.local_addr().ok()?.ip())?;
    for patience in TRIES {
        socket.send(&question).await.ok()?;
        let mut answer = [0; 64];
        if let Ok(Ok(length)) = timeout(patience, socket.recv(&mut answer)).await {
            return Some(answer[..length].to_vec());
        }
    }
    None
}

/// An answer to the question for the external address (RFC 6886 §3.2).
fn parse_nat_pmp(answer: &[u8]) -> Option<Router> {
    let router = |external| Some(Router { speaks: "NAT-PMP", external });
    match answer {
        [0, 128, 0, 0, _, _, _, _, a, b, c, d] => router(Some(Ipv4Addr::new(*a, *b, *c, *d).into())),
        // It speaks the protocol, and has no address just now or refuses to say it.
        [0, 128, ..] => router(None),
        _ => None,
    }
}

/// An answer of PCP's, whatever it says: one to another version is of that version (RFC 6887 §9).
fn speaks_pcp(answer: &[u8]) -> bool {
    answer.len() >= PCP_HEADER && answer.starts_with(&[2, 128])
}

/// The router of the default route; `None` where the system does not tell.
pub fn gateway() -> Option<Ipv4Addr> {
    default_gateway(&std::fs::read_to_string("/proc/net/route").ok()?)
}

/// The gateway of the default route in `/proc/net/route` (proc(5)): hexadecimal, in the machine's byte order.
fn default_gateway(table: &str) -> Option<Ipv4Addr> {
    let rows = table.lines().skip(1).map(|line| line.split_ascii_whitespace().take(3).collect::<Vec<_>>());
    let gateways = rows.filter_map(|row| match row[..] {
        [_, "00000000", gateway] => u32::from_str_radix(gateway, 16).ok(),
        _ => None,
    });
    gateways.map(|gateway| Ipv4Addr::from(gateway.to_ne_bytes())).find(|gateway| !gateway.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nat_pmp_router_is_understood() {
        let answer = [0, 128, 0, 0, 0, 0, 0, 9, 203, 0, 113, 1];
        assert_eq!(parse_nat_pmp(&answer).unwrap().external, Some([203, 0, 113, 1].into()));
        assert_eq!(parse_nat_pmp(&[0, 128, 0, 3, 0, 0, 0, 9, 0, 0, 0, 0]).unwrap().external, None);
        assert_eq!(parse_nat_pmp(&answer[..3]), Some(Router { speaks: "NAT-PMP", external: None }));
        assert_eq!(parse_nat_pmp(b"anything else"), None);
        assert_eq!(parse_nat_pmp(b""), None);
    }

    #[test]
    fn a_pcp_router_is_told_from_one_of_the_older_protocol() {
        let answer = |version, result| [&[version, 128, 0, result][..], &[0; 20]].concat();
        assert!(speaks_pcp(&answer(2, 0)) && speaks_pcp(&answer(2, 2)), "also one that forbids it");
        assert!(!speaks_pcp(&answer(0, 1)) && !speaks_pcp(&[0, 128, 0, 1, 0, 0, 0, 9]) && !speaks_pcp(&[2, 128]));
        assert_eq!(parse_nat_pmp(&answer(2, 1)), None);
    }

    #[test]
    fn the_default_gateway_is_read_from_the_kernels_table() {
        let gateway = u32::from_ne_bytes([192, 168, 1, 1]);
        let table = format!(
            "Iface\tDestination\tGateway\tFlags\neth0\t0001A8C0\t00000000\t0001\ntun0\t00000000\t00000000\t0001\neth0\t00000000\t{gateway:08X}\t0003\n"
        );
        assert_eq!(default_gateway(&table), Some([192, 168, 1, 1].into()));
        assert_eq!(default_gateway(""), None);
        assert_eq!(default_gateway("Iface\nx 00000000 nonsense\n"), None);
    }
}
