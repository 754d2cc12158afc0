//! Whither a helper dials. Others make it dial: peers of the DHT by what they say of themselves, clients of AutoNAT by
//! asking to be tried. Neither may make it knock at doors inside its own network.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use libp2p::Multiaddr;
use libp2p::core::transport::{DialOpts, ListenerId, Transport, TransportError, TransportEvent};

use super::ip_of;
use crate::network::turn::destinations::Destinations;

/// Whither it may dial: the same places that its relay sends to.
pub(super) struct Policy(Destinations);

impl Policy {
    /// For a helper that is announced, or else reached, at these addresses.
    pub(super) fn new(announce: &[IpAddr], reached: &[SocketAddr], listen: &[Multiaddr]) -> Self {
        let mut own = announce.to_vec();
        own.extend(reached.iter().map(SocketAddr::ip));
        let listen: Vec<IpAddr> = listen.iter().filter_map(ip_of).collect();
        Self(Destinations::new(own, &listen))
    }

    fn allows(&self, address: &Multiaddr) -> bool {
        ip_of(address).is_some_and(|ip| self.0.allows(ip))
    }
}

/// A transport that dials lawful addresses only.
pub(super) struct Lawful<T> {
    inner: T,
    policy: Policy,
}

impl<T> Lawful<T> {
    pub(super) fn new(inner: T, policy: Policy) -> Self {
        Self { inner, policy }
    }
}

impl<T: Transport + Unpin> Transport for Lawful<T> {
    type Output = T::Output;
    type Error = T::Error;
    type ListenerUpgrade = T::ListenerUpgrade;
    type Dial = T::Dial;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<T::Error>> {
        self.inner.listen_on(id, address)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.inner.remove_listener(id)
    }

    fn dial(&mut self, address: Multiaddr, options: DialOpts) -> Result<T::Dial, TransportError<T::Error>> {
        if !self.policy.allows(&address) {
            return Err(TransportError::MultiaddrNotSupported(address));
        }
        self.inner.dial(address, options)
    }

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<TransportEvent<T::ListenerUpgrade, T::Error>> {
        Pin::new(&mut self.inner).poll(context)
    }
}
