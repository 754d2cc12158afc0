//! Addresses that we listen at, and the ports that the router opens for them: others reach us there at the router's address.

use std::collections::HashMap;
use std::net::SocketAddr;

use libp2p::Multiaddr;
use resonance_protocol::peer::{Address, Transport};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::Task;
use crate::network::address;
use crate::network::ports::{Kind, Ports};

/// Addresses of ours at most that are opened: TCP and QUIC on the interface that leads to the router, and a few more that were asked for.
const MAX_OPENED: usize = 8;

/// What is told about the port of an address, if it can wait.
const NEWS_QUEUE: usize = 16;

/// An address of ours, and where the router lets others in to it.
pub(super) type News = (Multiaddr, Option<SocketAddr>);

/// See the module.
pub(super) struct Opened {
    /// `None`: no router is asked.
    ports: Option<Ports>,
    held: HashMap<Multiaddr, Held>,
    tell: mpsc::Sender<News>,
    news: mpsc::Receiver<News>,
}

struct Held {
    /// Whoever holds the opening: when it ends the port is closed.
    holder: AbortHandle,
    reached_at: Option<Multiaddr>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.holder.abort();
    }
}

impl Opened {
    pub(super) fn new(ports: Option<Ports>) -> Self {
        let (tell, news) = mpsc::channel(NEWS_QUEUE);
        Self { ports, held: HashMap::new(), tell, news }
    }

    /// What there is to say next. May be cancelled at any time.
    pub(super) async fn next(&mut self) -> Option<News> {
        self.news.recv().await
    }

    /// Gives all ports back and waits until the router has them.
    pub(super) async fn close(&mut self) {
        self.held.clear();
        if let Some(ports) = &self.ports {
            ports.all_closed().await;
        }
    }
}

impl Task {
    /// We listen here: the router is asked to let others in.
    pub(super) fn open_port(&mut self, at: &Multiaddr) {
        let (Some(ports), Some((_, place))) = (&self.opened.ports, address::compact(at)) else { return };
        if self.opened.held.contains_key(at) || self.opened.held.len() >= MAX_OPENED {
            return;
        }
        let kind = match place.transport {
            Transport::Tcp => Kind::Tcp,
            Transport::Quic => Kind::Udp,
        };
        let Some(mut opening) = ports.open(kind, SocketAddr::new(place.ip, place.port)) else { return };
        let (tell, local) = (self.opened.tell.clone(), at.clone());
        let holder = tokio::spawn(async move {
            loop {
                let external = opening.changed().await;
                if tell.send((local.clone(), external)).await.is_err() {
                    return;
                }
            }
        });
        self.opened.held.insert(at.clone(), Held { holder: holder.abort_handle(), reached_at: None });
    }

    /// We listen here no more.
    pub(super) fn close_port(&mut self, at: &Multiaddr) {
        if let Some(gone) = self.opened.held.remove(at).and_then(|mut held| held.reached_at.take()) {
            self.reached_no_more_at(&gone);
        }
    }

    /// The router lets others in somewhere else, or nowhere.
    pub(super) async fn port_changed(&mut self, (at, external): News) {
        let Some((_, place)) = address::compact(&at) else { return };
        let Some(held) = self.opened.held.get_mut(&at) else { return };
        let now = external.map(|at| address::multiaddr(&Address { ip: at.ip(), port: at.port(), ..place }));
        let before = std::mem::replace(&mut held.reached_at, now.clone());
        if let Some(gone) = before {
            self.reached_no_more_at(&gone);
        }
        if let Some(now) = now {
            // Neither call is told back by an event.
            self.swarm.add_external_address(now.clone());
            self.is_reached_at(now).await;
        }
    }

    fn reached_no_more_at(&mut self, gone: &Multiaddr) {
        self.swarm.remove_external_address(gone);
        self.is_reached_no_more();
    }
}
