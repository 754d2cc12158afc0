//! The home's router opens ports when it is asked: two whose NATs let nobody in meet directly by that, and whoever leaves closes what was opened.

use crate::support::simulation::{can_run, packets, play};
use crate::support::{alone, attempts};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

/// How the router of one of the two is asked, and the way that sound takes then.
const ROUTERS: [(&str, &str); 4] = [("off", "relayed"), ("nat-pmp", "direct"), ("pcp", "direct"), ("upnp", "direct")];

#[test]
fn a_router_that_opens_ports_brings_symmetric_nats_together() {
    let test = "ports::a_router_that_opens_ports_brings_symmetric_nats_together";
    let _alone = alone();
    if !can_run(test) {
        return;
    }
    let mut text = r#"
seconds = 22
[host.helper]
link = "fibre"
[peer.helper]
does = "helper"
args = ["--listen", "/ip4/{ip:helper}/udp/4001/quic-v1", "--listen", "/ip4/{ip:helper}/tcp/4001"]
"#
    .to_owned();
    for (speaks, path) in ROUTERS {
        // Writing into a String does not fail.
        let _ = write!(
            text,
            r#"
[network.{speaks}]
edge = "symmetric"
uplink = "fibre"
ports = "{speaks}"
[host.{speaks}]
network = "{speaks}"
[network.other-{speaks}]
edge = "symmetric"
uplink = "fibre"
[host.other-{speaks}]
network = "other-{speaks}"
[peer.{speaks}]
does = "create"
args = ["--no-mdns"]
helpers = ["helper"]
[peer.other-{speaks}]
joins = "{speaks}"
at = 1
args = ["--no-mdns"]
helpers = ["helper"]
[[expect]]
of = ["{speaks}", "other-{speaks}"]
connects_within = 12
hears = "yes"
path = "{path}"
"#
        );
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let captures = folder.path().display().to_string();
    attempts(test, || {
        let report = play("ports", &text, &["--pcap", &captures])?;
        let asked = ROUTERS.map(|(speaks, _)| (speaks, Asked::of(&folder.path().join(format!("ports-{speaks}.pcap")))));
        let mut says = format!("{} pairs", report.pairs().len());
        for (speaks, asked) in &asked {
            let _ = write!(says, "; {speaks}: {} ports opened, {} closed", asked.opened.len(), asked.closed.len());
        }
        // TCP and QUIC to be called at, and one for sound.
        let good = |(speaks, asked): &(&str, Asked)| match *speaks {
            "off" => asked.closed.is_empty(),
            _ => asked.opened.len() >= 3 && asked.opened == asked.closed,
        };
        if asked.iter().all(good) { Ok(says) } else { Err(says) }
    });
}

/// What a host asked its router for: protocols (6: TCP, 17: UDP) and ports of its own.
#[derive(Default)]
struct Asked {
    opened: BTreeSet<(u8, u16)>,
    closed: BTreeSet<(u8, u16)>,
}

impl Asked {
    fn of(capture: &Path) -> Self {
        let mut asked = Self::default();
        let capture = std::fs::read(capture).expect("a capture");
        let mut upnp = String::new();
        for packet in packets(&capture).filter(|packet| packet.first() == Some(&0x45)) {
            let port = packet.get(22..24).map_or(0, |port| u16::from_be_bytes([port[0], port[1]]));
            match (packet[9], port) {
                (17, 5_351) => asked.by_datagram(&packet[28..]),
                (6, 5_000) => upnp += &String::from_utf8_lossy(&packet[20 + usize::from(packet[32] >> 4) * 4..]),
                _ => {}
            }
        }
        asked.by_upnp(&upnp);
        asked
    }

    /// NAT-PMP (RFC 6886 §3.3) and PCP (RFC 6887 §7.1, §11.1).
    fn by_datagram(&mut self, request: &[u8]) {
        let word = |at: usize| u16::from_be_bytes([request[at], request[at + 1]]);
        let (protocol, port, lifetime) = match (request.len(), request[0], request[1]) {
            (12, 0, 1) => (17, word(4), &request[8..12]),
            (12, 0, 2) => (6, word(4), &request[8..12]),
            (60, 2, 1) => (request[36], word(40), &request[4..8]),
            _ => return,
        };
        let (opens, which) = (lifetime != [0; 4], (protocol, port));
        if opens { &mut self.opened } else { &mut self.closed }.insert(which);
    }

    /// UPnP IGD: what is called, and its arguments, in a text of many requests.
    fn by_upnp(&mut self, text: &str) {
        for call in text.split("<u:").skip(1) {
            let value = |name: &str| {
                let (_, rest) = call.split_once(&format!("<{name}>"))?;
                rest.split_once('<').map(|(value, _)| value)
            };
            let protocol = if value("NewProtocol") == Some("TCP") { 6 } else { 17 };
            let Some(port) = value("NewExternalPort").and_then(|port| port.parse().ok()) else { continue };
            if call.starts_with("AddPortMapping") {
                self.opened.insert((protocol, port));
            } else if call.starts_with("DeletePortMapping") {
                self.closed.insert((protocol, port));
            }
        }
    }
}
