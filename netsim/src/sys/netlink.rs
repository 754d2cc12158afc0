//! As much of rtnetlink (rtnetlink(7)) as a host with one interface needs: up, addresses, a default route.
//!
//! All of it happens in the network namespace of the calling thread.

use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd, OwnedFd};

/// Longest answer in bytes that is read: an acknowledgement repeats our message, which is shorter.
const MAX_ANSWER: usize = 4_096;

/// A conversation with the kernel.
pub(super) struct Netlink {
    socket: OwnedFd,
    sequence: u32,
}

impl Netlink {
    /// Opens one in this thread's namespace.
    pub(super) fn new() -> io::Result<Self> {
        let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute)?;
        Ok(Self { socket, sequence: 0 })
    }

    /// Takes an interface up.
    pub(super) fn up(&mut self, interface: u32, mtu: Option<usize>) -> io::Result<()> {
        let up = libc::IFF_UP as u32;
        // struct ifinfomsg: family, pad, type, index, flags, changed flags.
        let mut body = vec![0; 4];
        for word in [interface, up, up] {
            body.extend_from_slice(&word.to_ne_bytes());
        }
        if let Some(mtu) = mtu {
            attribute(&mut body, libc::IFLA_MTU, &(mtu as u32).to_ne_bytes());
        }
        self.ask(libc::RTM_NEWLINK, 0, &body)
    }

    /// Gives an interface an address.
    pub(super) fn add_address(&mut self, interface: u32, address: IpAddr, prefix: u8) -> io::Result<()> {
        let flags = (libc::NLM_F_CREATE | libc::NLM_F_REPLACE) as u16;
        self.ask(libc::RTM_NEWADDR, flags, &address_message(interface, address, prefix))
    }

    /// Takes an address from an interface.
    pub(super) fn remove_address(&mut self, interface: u32, address: IpAddr, prefix: u8) -> io::Result<()> {
        self.ask(libc::RTM_DELADDR, 0, &address_message(interface, address, prefix))
    }

    /// Sends everything, of one family, out by an interface: to a router, whom programs can then ask for ports, where there is one to name.
    pub(super) fn add_default_route(&mut self, interface: u32, v6: bool, gateway: Option<Ipv4Addr>) -> io::Result<()> {
        let family = if v6 { libc::AF_INET6 } else { libc::AF_INET };
        // struct rtmsg: family, destination and source length, tos, table, protocol, scope, type, flags.
        let mut body = vec![family as u8, 0, 0, 0, libc::RT_TABLE_MAIN, libc::RTPROT_STATIC];
        let direct = !v6 && gateway.is_none();
        body.extend_from_slice(&[
            if direct { libc::RT_SCOPE_LINK } else { libc::RT_SCOPE_UNIVERSE },
            libc::RTN_UNICAST,
        ]);
        body.extend_from_slice(&[0; 4]);
        attribute(&mut body, libc::RTA_OIF, &interface.to_ne_bytes());
        if let Some(gateway) = gateway {
            attribute(&mut body, libc::RTA_GATEWAY, &gateway.octets());
        }
        self.ask(libc::RTM_NEWROUTE, (libc::NLM_F_CREATE | libc::NLM_F_REPLACE) as u16, &body)
    }

    fn ask(&mut self, kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
        self.sequence += 1;
        let flags = flags | (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;
        // struct nlmsghdr: length, type, flags, sequence, port.
        let mut message = ((16 + body.len()) as u32).to_ne_bytes().to_vec();
        message.extend_from_slice(&kind.to_ne_bytes());
        message.extend_from_slice(&flags.to_ne_bytes());
        message.extend_from_slice(&self.sequence.to_ne_bytes());
        message.extend_from_slice(&[0; 4]);
        message.extend_from_slice(body);
        send(self.socket.as_raw_fd(), &message, MsgFlags::empty())?;
        let mut answer = [0; MAX_ANSWER];
        let length = recv(self.socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
        let code: Option<&[u8; 4]> = answer[..length].get(16..).and_then(|rest| rest.first_chunk());
        match code.map(|code| i32::from_ne_bytes(*code)) {
            Some(0) => Ok(()),
            Some(code) => Err(io::Error::from_raw_os_error(-code)),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

fn address_message(interface: u32, address: IpAddr, prefix: u8) -> Vec<u8> {
    let (family, octets, flags) = match address {
        IpAddr::V4(address) => (libc::AF_INET, address.octets().to_vec(), 0),
        // Nobody else can have it: no waiting for duplicates to show themselves.
        IpAddr::V6(address) => (libc::AF_INET6, address.octets().to_vec(), libc::IFA_F_NODAD as u8),
    };
    // struct ifaddrmsg: family, prefix length, flags, scope, index.
    let mut body = vec![family as u8, prefix, flags, libc::RT_SCOPE_UNIVERSE];
    body.extend_from_slice(&interface.to_ne_bytes());
    attribute(&mut body, libc::IFA_LOCAL, &octets);
    attribute(&mut body, libc::IFA_ADDRESS, &octets);
    body
}

fn attribute(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    body.extend_from_slice(&((4 + value.len()) as u16).to_ne_bytes());
    body.extend_from_slice(&kind.to_ne_bytes());
    body.extend_from_slice(value);
    body.resize(body.len().next_multiple_of(4), 0);
}
