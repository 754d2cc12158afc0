//! TUN devices: a host's one network interface, whose other end is this process.

use super::netlink::Netlink;
use super::netns::{CannotRun, Netns};
use nix::net::if_::if_nametoindex;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;

/// Every host's interface has this name.
const NAME: &str = "net0";

/// A host's interface.
#[derive(Debug)]
pub struct Tun {
    file: File,
    interface: u32,
    addresses: Vec<(IpAddr, u8)>,
}

impl Tun {
    /// Makes the interface of a namespace, in the network of that router.
    ///
    /// # Errors
    /// When there are no TUN devices, or the namespace cannot be set up.
    pub fn new(netns: &Netns, mtu: usize, addresses: &[(IpAddr, u8)], gateway: Ipv4Addr) -> Result<Self, CannotRun> {
        let file = netns.enter(open).map_err(CannotRun::Tun)?;
        let made = || {
            let interface = if_nametoindex(NAME)?;
            // Link-local addresses would be a second family that nobody asked for.
            let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{NAME}/addr_gen_mode"), "1");
            Netlink::new()?.up(interface, Some(mtu))?;
            Ok(interface)
        };
        let interface = netns.enter(made).map_err(CannotRun::Setup)?;
        let mut tun = Self { file, interface, addresses: Vec::new() };
        tun.set_addresses(netns, addresses, gateway).map_err(CannotRun::Setup)?;
        Ok(tun)
    }

    /// Gives it these addresses (each with the length of its network's prefix) and that router, and takes away those that it had.
    ///
    /// # Errors
    /// The kernel's.
    pub fn set_addresses(&mut self, netns: &Netns, addresses: &[(IpAddr, u8)], gateway: Ipv4Addr) -> io::Result<()> {
        let old = std::mem::replace(&mut self.addresses, addresses.to_vec());
        let interface = self.interface;
        netns.enter(move || {
            let mut kernel = Netlink::new()?;
            for (address, prefix) in addresses {
                kernel.add_address(interface, *address, *prefix)?;
            }
            for (address, prefix) in old.iter().filter(|old| !addresses.contains(old)) {
                kernel.remove_address(interface, *address, *prefix)?;
            }
            // The last address of a family takes the routes with it, so they come after.
            let has = |v6: bool| addresses.iter().any(|(address, _)| address.is_ipv6() == v6);
            [(false, Some(gateway)), (true, None)]
                .into_iter()
                .filter(|(v6, _)| has(*v6))
                .try_for_each(|(v6, gateway)| kernel.add_default_route(interface, v6, gateway))
        })
    }

    /// The next packet that the host has sent; `None` when there is none at present.
    pub fn read<'a>(&mut self, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
        let length = self.file.read(buffer).ok().filter(|length| *length > 0)?;
        buffer.get(..length)
    }

    /// A packet for the host. False when its queue is full, or it is going away.
    pub fn write(&mut self, packet: &[u8]) -> bool {
        self.file.write(packet).is_ok()
    }
}

impl AsFd for Tun {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

#[allow(unsafe_code)] // The one system call without a safe wrapper: naming a TUN device.
fn open() -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open("/dev/net/tun")?;
    let mut name = [0; libc::IFNAMSIZ];
    for (place, byte) in name.iter_mut().zip(NAME.bytes()) {
        *place = byte as libc::c_char;
    }
    let flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
    let request = libc::ifreq { ifr_name: name, ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_flags: flags } };
    // SAFETY: the descriptor is open, and `request` is a whole `struct ifreq`, which the call reads and writes while it lasts.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF as _, &request) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(file) }
}
