//! STUN and TURN servers: asking those who serve for credentials, and serving the members when others reach this machine.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use libp2p::request_response::{Event, Message};
use libp2p::{Multiaddr, PeerId};

use super::Task;
use crate::network::candidates::{self, Loopback};
use crate::network::turn::offer::{Desk, Offer, Refusal};
use crate::network::turn::{Credentials, Limits, TurnServer};
use crate::network::{Relay, Way, address};

/// Servers that are used at once: each is asked by each media connection.
const MAX_SERVING: usize = 3;

/// How long a server that refused or was silent is not asked again.
const REFUSED_FOR: Duration = Duration::from_secs(60);

/// The same of a member that takes us for a stranger: it may only just not have known yet that we are none.
const STRANGER_FOR: Duration = Duration::from_secs(2);

/// The same of a member that nobody is known to reach: that may change.
const UNREACHED_FOR: Duration = Duration::from_secs(10);

/// What one peer's server gave.
struct Served {
    credentials: Option<Credentials>,
    ask_at: Instant,
}

/// What this side of the task remembers.
#[derive(Default)]
pub(super) struct Servers {
    /// Those that serve us.
    served: HashMap<PeerId, Served>,
    /// Ours.
    own: Option<TurnServer>,
    desk: Desk,
}

impl Task {
    /// Asks for what is missing or soon expires; `serving` are helpers and members that serve and are connected.
    pub(super) async fn ask_servers(&mut self, now: Instant) {
        let serving = self.serving();
        let before = self.servers.served.len();
        self.servers.served.retain(|peer, _| serving.iter().any(|(serving, _)| serving == peer));
        let gone = self.servers.served.len() < before;
        for (peer, _) in serving.into_iter().take(MAX_SERVING) {
            let served = self.servers.served.entry(peer).or_insert(Served { credentials: None, ask_at: now });
            if served.ask_at <= now {
                served.ask_at = now + REFUSED_FOR;
                self.swarm.behaviour_mut().offers.send_request(&peer, ());
            }
        }
        if gone {
            self.use_servers().await;
        }
    }

    /// Media connections go by what is known now.
    async fn use_servers(&mut self) {
        let mut relays: Vec<Relay> = Vec::new();
        for (peer, served) in &self.servers.served {
            let way = if self.is_helper(peer) { Way::Relayed } else { Way::Member };
            relays.extend(served.credentials.iter().flat_map(|credentials| credentials.relays(way)));
        }
        self.set_servers(relays).await;
    }

    pub(super) async fn on_offer(&mut self, event: Event<(), Offer>) {
        let now = Instant::now();
        match event {
            Event::Message { peer, message: Message::Response { response: Ok(credentials), .. }, .. } => {
                let Some(served) = self.servers.served.get_mut(&peer) else { return };
                // Well before they expire, so that what they hold open stays.
                served.ask_at = now + credentials.lifetime / 2;
                served.credentials = Some(credentials);
                self.use_servers().await;
            }
            Event::Message { peer, message: Message::Response { response: Err(refusal), .. }, .. } => {
                tracing::debug!(%peer, %refusal, "no credentials for a relay");
                let pause = match refusal {
                    Refusal::Stranger => STRANGER_FOR,
                    Refusal::Unreached => UNREACHED_FOR,
                    Refusal::Full | Refusal::TooOften | Refusal::Other => REFUSED_FOR,
                };
                if let Some(served) = self.servers.served.get_mut(&peer) {
                    served.ask_at = now + pause;
                }
            }
            Event::Message { peer, message: Message::Request { channel, .. }, .. } => {
                let address = self.seen_at(&peer);
                let offer = match &self.servers.own {
                    Some(own) if self.is_relayed(&peer) => self.servers.desk.answer(own, peer, address, now),
                    Some(_) => Err(Refusal::Stranger),
                    None => Err(Refusal::Unreached),
                };
                // An error says that the connection is gone.
                let _ = self.swarm.behaviour_mut().offers.send_response(channel, offer);
            }
            Event::OutboundFailure { peer, error, .. } => tracing::debug!(%peer, %error, "a server was not asked"),
            Event::InboundFailure { .. } | Event::ResponseSent { .. } => {}
        }
    }

    /// Others reach us at this address: if it is this machine's own, and not a router's, media can go through us, too.
    pub(super) fn serve_media(&mut self, at: &Multiaddr) {
        let Some((_, reached)) = address::compact(at) else { return };
        let own = candidates::local_addresses(Loopback::LastResort).iter().any(|own| own.ip() == reached.ip);
        if self.servers.own.is_some() || !own {
            return;
        }
        let anywhere: IpAddr = if reached.ip.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
        match TurnServer::start(&[SocketAddr::new(anywhere, 0)], vec![reached.ip], Limits::MEMBER) {
            Ok(server) => self.servers.own = Some(server),
            Err(error) => tracing::debug!(%error, "media of others cannot go through us"),
        }
    }

    /// Somebody is gone: what it had from us ends.
    pub(super) fn serve_no_more(&mut self, peer: &PeerId) {
        if let Some(own) = &self.servers.own {
            own.revoke(peer);
        }
    }
}
