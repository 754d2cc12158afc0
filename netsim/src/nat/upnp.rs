//! UPnP's Internet Gateway Device, as far as programs use it to open a port: discovery by SSDP, a description, and a few actions by SOAP.
//!
//! It is served over a TCP that knows only this: a request comes, one segment goes back with the whole answer and the end. What is lost is asked for
//! again by the other side, because a request counts as acknowledged only by its answer.

use super::Nat;
use crate::packet::build::{Segment, tcp, udp};
use crate::packet::{self, ACK, FIN, PSH, RST, SYN, Transport, build};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::{Duration, Instant};

/// Where a router serves its description.
pub const PORT: u16 = 5_000;
/// Where it hears who looks for it: 239.255.255.250.
const SSDP: (Ipv4Addr, u16) = (Ipv4Addr::new(239, 255, 255, 250), 1_900);
const DEVICE: &str = "urn:schemas-upnp-org:device:InternetGatewayDevice:1";
const SERVICE: &str = "urn:schemas-upnp-org:service:WANIPConnection:1";
/// Longest request in bytes: the actions' are under 2 KiB.
const MAX_REQUEST: usize = 8 * 1_024;
/// Connections at a time: hosts of a home that ask at once.
const MAX_CONNECTIONS: usize = 32;
/// A lease of 0 means for ever; a day is as good.
const FOR_EVER: Duration = Duration::from_secs(86_400);

/// A router's side of it.
#[derive(Debug)]
pub struct Gateway {
    address: SocketAddrV4,
    connections: HashMap<SocketAddr, Connection>,
    chance: StdRng,
}

#[derive(Debug)]
struct Connection {
    /// Number of our first byte.
    own: u32,
    /// Number of the byte that we expect.
    next: u32,
    request: Vec<u8>,
    /// The answer, and the number of its segment, for whoever asks again.
    answer: Option<Vec<u8>>,
}

/// The answer to an SSDP search for a gateway; `None` for any other packet.
pub fn discovered(gateway: Ipv4Addr, packet: &[u8]) -> Option<Vec<u8>> {
    let flow = packet::flow(packet, &packet::parse(packet)?)?;
    let text = std::str::from_utf8(build::udp_payload(packet)?).ok()?;
    let wanted = [DEVICE, SERVICE, "upnp:rootdevice", "ssdp:all"].into_iter().find(|target| text.contains(target))?;
    if flow.destination != SocketAddr::from(SSDP) || !text.starts_with("M-SEARCH") {
        return None;
    }
    let answer = format!(
        "HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nEXT:\r\nST: {wanted}\r\nUSN: uuid:netsim::{wanted}\r\n\
         SERVER: netsim UPnP/1.1\r\nLOCATION: http://{gateway}:{PORT}/description.xml\r\n\r\n"
    );
    udp(SocketAddr::from((gateway, SSDP.1)), flow.source, answer.as_bytes())
}

impl Gateway {
    /// A router that is reached at `address` from inside.
    pub fn new(address: Ipv4Addr, seed: u64) -> Self {
        Self {
            address: SocketAddrV4::new(address, PORT),
            connections: HashMap::new(),
            chance: StdRng::seed_from_u64(seed),
        }
    }

    /// A TCP segment for the router has come from inside; gives what it answers.
    pub fn handle(&mut self, nat: &mut Nat, now: Instant, uptime: Duration, packet: &[u8]) -> Option<Vec<u8>> {
        let header = packet::parse(packet)?;
        let from = packet::flow(packet, &header)?.source;
        let flags = packet::tcp_flags(packet, &header);
        let word = |at: usize| Some(u32::from_be_bytes(*packet.get(header.transport + at..)?.first_chunk()?));
        let (sequence, begin) = (word(4)?, header.transport + usize::from(packet.get(header.transport + 12)? >> 4) * 4);
        let data = packet.get(begin..header.length)?;
        if flags & RST != 0 {
            self.connections.remove(&from);
            return None;
        }
        if flags & SYN != 0 {
            if self.connections.len() >= MAX_CONNECTIONS {
                self.connections.clear();
            }
            let own = self.chance.random();
            let next = sequence.wrapping_add(1);
            self.connections.insert(from, Connection { own, next, request: Vec::new(), answer: None });
            return self.say(from, own, next, SYN | ACK, &[]);
        }
        let connection = self.connections.get_mut(&from)?;
        let sent = connection.own.wrapping_add(1);
        if sequence == connection.next && connection.answer.is_none() && !data.is_empty() {
            if connection.request.len() + data.len() > MAX_REQUEST {
                self.connections.remove(&from);
                return self.say(from, sent, 0, RST, &[]);
            }
            connection.request.extend_from_slice(data);
            connection.next = sequence.wrapping_add(data.len() as u32);
            if let Some(request) = whole(&connection.request) {
                let SocketAddr::V4(host) = from else { return None };
                connection.answer = Some(respond(nat, now, uptime, *host.ip(), request).into_bytes());
            }
        }
        let (mut next, answer) = (connection.next, connection.answer.clone());
        if flags & FIN != 0 && sequence.wrapping_add(data.len() as u32) == next {
            // Both sides have said all.
            let past = answer.as_ref().map_or(0, |answer| answer.len() as u32 + 1);
            next = next.wrapping_add(1);
            self.connections.remove(&from);
            return self.say(from, sent.wrapping_add(past), next, ACK, &[]);
        }
        match answer {
            // Without data it only acknowledges what we said.
            _ if data.is_empty() => None,
            Some(answer) => self.say(from, sent, next, ACK | PSH | FIN, &answer),
            None => self.say(from, sent, next, ACK, &[]),
        }
    }

    fn say(&self, to: SocketAddr, sequence: u32, acknowledgement: u32, flags: u8, data: &[u8]) -> Option<Vec<u8>> {
        tcp(self.address.into(), to, Segment { sequence, acknowledgement, flags }, data)
    }
}

/// The request as text when all of it is there.
fn whole(request: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(request).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length = head.lines().filter_map(|line| line.split_once(':')).find_map(|(name, value)| {
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok()).flatten()
    });
    (body.len() >= length.unwrap_or(0)).then_some(text)
}

fn respond(nat: &mut Nat, now: Instant, uptime: Duration, host: Ipv4Addr, request: &str) -> String {
    let first = request.lines().next().unwrap_or_default();
    if first.starts_with("GET /description.xml") {
        return ok(&description());
    }
    if first.starts_with("GET /actions.xml") {
        return ok(&actions());
    }
    let called = |action: &str| first.starts_with("POST /control") && request.contains(&format!("{SERVICE}#{action}"));
    if called("GetExternalIPAddress") {
        let address = nat.outer();
        return done("GetExternalIPAddress", &format!("<NewExternalIPAddress>{address}</NewExternalIPAddress>"));
    }
    if called("GetStatusInfo") {
        let fields = format!(
            "<NewConnectionStatus>Connected</NewConnectionStatus><NewLastConnectionError>ERROR_NONE</NewLastConnectionError>\
             <NewUptime>{}</NewUptime>",
            uptime.as_secs()
        );
        return done("GetStatusInfo", &fields);
    }
    let transport = match value(request, "NewProtocol") {
        Some("UDP") => Transport::Udp,
        Some("TCP") => Transport::Tcp,
        _ => return fault(402, "Invalid Args"),
    };
    let number = |name| value(request, name).and_then(|text| text.parse::<u16>().ok());
    let Some(outer) = number("NewExternalPort") else { return fault(402, "Invalid Args") };
    if called("DeletePortMapping") {
        nat.close(transport, outer);
        return done("DeletePortMapping", "");
    }
    if called("GetSpecificPortMappingEntry") {
        let Some(inner) = nat.opened(now, transport, outer) else { return fault(714, "NoSuchEntryInArray") };
        let fields = format!(
            "<NewInternalPort>{}</NewInternalPort><NewInternalClient>{}</NewInternalClient><NewEnabled>1</NewEnabled>\
             <NewPortMappingDescription/><NewLeaseDuration>0</NewLeaseDuration>",
            inner.port(),
            inner.ip()
        );
        return done("GetSpecificPortMappingEntry", &fields);
    }
    if !called("AddPortMapping") {
        return fault(401, "Invalid Action");
    }
    let (Some(inner), client) = (number("NewInternalPort"), value(request, "NewInternalClient")) else {
        return fault(402, "Invalid Args");
    };
    // A host may open ports for itself only (IGD:2 §2.5.16).
    if client.and_then(|client| client.parse().ok()) != Some(host) {
        return fault(606, "Action not authorized");
    }
    let lease = value(request, "NewLeaseDuration").and_then(|text| text.parse().ok()).unwrap_or(0);
    let lease = if lease == 0 { FOR_EVER } else { Duration::from_secs(lease).min(FOR_EVER) };
    match nat.open(now, transport, SocketAddrV4::new(host, inner), outer, lease) {
        Some(_) => done("AddPortMapping", ""),
        None => fault(718, "ConflictInMappingEntry"),
    }
}

/// What stands in an element of that name.
fn value<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = request.split_once(&format!("<{name}"))?;
    let (_, rest) = rest.split_once('>')?;
    rest.split_once("</").map(|(value, _)| value.trim())
}

fn ok(body: &str) -> String {
    answer("200 OK", body)
}

fn answer(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/xml\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn envelope(body: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\"><s:Body>{body}</s:Body></s:Envelope>"
    )
}

fn done(action: &str, fields: &str) -> String {
    ok(&envelope(&format!("<u:{action}Response xmlns:u=\"{SERVICE}\">{fields}</u:{action}Response>")))
}

fn fault(code: u16, why: &str) -> String {
    answer(
        "500 Internal Server Error",
        &envelope(&format!(
            "<s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail><UPnPError \
             xmlns=\"urn:schemas-upnp-org:control-1-0\"><errorCode>{code}</errorCode><errorDescription>{why}\
             </errorDescription></UPnPError></detail></s:Fault>"
        )),
    )
}

/// The device tree that the standard asks for, as short as may be: it must fit into one segment.
fn description() -> String {
    let device = |kind: &str, inner: &str| {
        format!(
            "<device><deviceType>urn:schemas-upnp-org:device:{kind}:1</deviceType><friendlyName>netsim</friendlyName>\
             <UDN>uuid:netsim-{kind}</UDN>{inner}</device>"
        )
    };
    let service = |kind: &str, id: &str| {
        format!(
            "<serviceList><service><serviceType>urn:schemas-upnp-org:service:{kind}:1</serviceType><serviceId>urn:upnp-org:serviceId:{id}1\
             </serviceId><SCPDURL>/actions.xml</SCPDURL><controlURL>/control</controlURL><eventSubURL>/events</eventSubURL></service></serviceList>"
        )
    };
    let list = |inner: String| format!("<deviceList>{inner}</deviceList>");
    let connection = device("WANConnectionDevice", &service("WANIPConnection", "WANIPConn"));
    // Clients know a gateway by this service, of which they want nothing.
    let common = service("WANCommonInterfaceConfig", "WANCommonIFC");
    let wan = device("WANDevice", &(common + &list(connection)));
    format!(
        "<?xml version=\"1.0\"?><root xmlns=\"urn:schemas-upnp-org:device-1-0\"><specVersion><major>1</major><minor>0</minor>\
         </specVersion>{}</root>",
        device("InternetGatewayDevice", &list(wan))
    )
}

fn actions() -> String {
    let action = |name: &str, arguments: &[(&str, &str)]| {
        let list: String = arguments
            .iter()
            .map(|(name, way)| format!("<argument><name>New{name}</name><direction>{way}</direction></argument>"))
            .collect();
        format!("<action><name>{name}</name><argumentList>{list}</argumentList></action>")
    };
    let add = ["RemoteHost", "ExternalPort", "Protocol", "InternalPort", "InternalClient", "Enabled"]
        .into_iter()
        .chain(["PortMappingDescription", "LeaseDuration"]);
    let add: Vec<(&str, &str)> = add.map(|name| (name, "in")).collect();
    format!(
        "<?xml version=\"1.0\"?><scpd xmlns=\"urn:schemas-upnp-org:service-1-0\"><actionList>{}{}{}</actionList></scpd>",
        action("GetExternalIPAddress", &[("ExternalIPAddress", "out")]),
        action("AddPortMapping", &add),
        action("DeletePortMapping", &add[..3]),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_document_fits_into_one_segment() {
        for document in [description(), actions()] {
            assert!(ok(&document).len() <= 1_440, "{} bytes", ok(&document).len());
        }
    }
}
