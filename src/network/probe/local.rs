//! What can be found out without anybody's help: ways into the world, and whether multicast works on this machine.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use futures::StreamExt;
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, Swarm, SwarmBuilder, mdns, noise, tcp, yamux};
use tokio::time::timeout;

use super::PATIENCE;

/// The address that packets into the world would leave from, IPv4 or IPv6; `None` when there is no way. Nothing is sent.
pub fn route_to_world(v4: bool) -> Option<IpAddr> {
    // Any public address does: only the routing table is asked.
    let (any, world) = if v4 { ("0.0.0.0:0", "8.8.8.8:9") } else { ("[::]:0", "[2001:4860:4860::8888]:9") };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(world.parse::<SocketAddr>().ok()?).ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|ip| !ip.is_unspecified())
}

/// Two strangers on this machine look for each other by mDNS.
///
/// # Errors
///
/// A sentence that says what does not work.
pub async fn multicast() -> Result<(), String> {
    let (mut one, mut other) = (seeker()?, seeker()?);
    let search = async {
        let target = *other.local_peer_id();
        loop {
            tokio::select! {
                event = one.select_next_some() => {
                    if let SwarmEvent::Behaviour(mdns::Event::Discovered(found)) = event
                        && found.iter().any(|(peer, _)| *peer == target)
                    {
                        return;
                    }
                }
                _ = other.select_next_some() => {}
            }
        }
    };
    timeout(PATIENCE, search).await.map_err(|_| "no announcement came back within 5 s".into())
}

fn seeker() -> Result<Swarm<mdns::tokio::Behaviour>, String> {
    let mut swarm = SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .map_err(|error| error.to_string())?
        .with_behaviour(|keypair| {
            Ok(mdns::tokio::Behaviour::new(mdns::Config::default(), keypair.public().to_peer_id())?)
        })
        .map_err(|error| error.to_string())?
        .build();
    let any: Multiaddr = "/ip4/0.0.0.0/tcp/0".parse().map_err(|_| "no address to listen on")?;
    swarm.listen_on(any).map_err(|error| error.to_string())?;
    Ok(swarm)
}
