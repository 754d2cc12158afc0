//! Ports that the home's router opens when it is asked: by PCP (RFC 6887), NAT-PMP (RFC 6886) or UPnP IGD, whichever it speaks.
//!
//! Every opening is a task of its own: it asks, says at which address others come in, renews in time, and closes the port
//! when nobody holds the opening any more. Should the program end in another way, the router closes it by itself.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crab_nat::natpmp::{self, Failure};
use crab_nat::pcp::{self, BaseMapRequest};
use crab_nat::{
    GatewayAddress, InternetProtocol, PortMapping, PortMappingOptions, PortMappingType, TimeoutConfig, VersionCode,
};
use futures::future::{Either, select};
use igd_next::aio::Gateway;
use igd_next::aio::tokio::{Tokio, search_gateway};
use igd_next::{PortMappingProtocol, SearchOptions};
use tokio::sync::{Mutex, watch};
use tokio::time::{sleep, timeout};

use super::probe::{self, Range};

/// How long a port is asked for, in seconds: what a program that crashes leaves open. It is renewed at half of that.
const LEASE_S: u32 = 20 * 60;

/// Leases that a router cuts to less are renewed this often at most.
const SHORTEST_PAUSE: Duration = Duration::from_secs(30);

/// When a port is asked for again that was refused.
const REFUSED_FOR: Duration = Duration::from_secs(60);

/// How long a network whose router opens nothing is left in peace.
const SILENT_FOR: Duration = Duration::from_secs(5 * 60);

/// Questions by NAT-PMP and PCP go out three times within 1.75 s (RFC 6886 §3.1 has nine within two minutes).
const TIMING: TimeoutConfig =
    TimeoutConfig { initial_timeout: Duration::from_millis(250), max_retries: 2, max_retry_timeout: None };

/// How long the search for a router that speaks UPnP may take, and each question to it.
const UPNP_PATIENCE: Duration = Duration::from_secs(3);

/// What a router's list of open ports says about ours.
const DESCRIPTION: &str = "resonance";

/// What a port is used with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Kind {
    fn for_control(self) -> InternetProtocol {
        match self {
            Self::Tcp => InternetProtocol::Tcp,
            Self::Udp => InternetProtocol::Udp,
        }
    }

    fn for_upnp(self) -> PortMappingProtocol {
        match self {
            Self::Tcp => PortMappingProtocol::TCP,
            Self::Udp => PortMappingProtocol::UDP,
        }
    }
}

/// Asks the router. Clones ask the same one.
#[derive(Clone, Default)]
pub(super) struct Ports(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// What was found out about a router last. Whoever asks meanwhile waits for that.
    known: Mutex<Option<Known>>,
    /// Openings whose port is not closed yet.
    open: watch::Sender<usize>,
}

struct Known {
    route: Route,
    speaks: Speaks,
    at: Instant,
}

/// The way into the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Route {
    own: Ipv4Addr,
    /// The router, where the system tells.
    gateway: Option<Ipv4Addr>,
}

impl Route {
    /// The one by which this machine is behind a router; `None` when there is none, or none is needed.
    fn now() -> Option<Self> {
        let Some(IpAddr::V4(own)) = probe::route_to_world(true) else { return None };
        let behind = matches!(probe::range(own.into()), Range::Private | Range::Carrier);
        behind.then(|| Self { own, gateway: probe::gateway() })
    }
}

/// How a router is asked.
#[derive(Clone)]
enum Speaks {
    Pcp(GatewayAddress),
    NatPmp(GatewayAddress),
    Upnp(Arc<Gateway<Tokio>>),
    /// Not at all, or to no end: another NAT comes after it.
    Nothing,
}

/// A port that is, or is to be, open. It is closed when this is dropped.
pub(super) struct Opening {
    /// Whither it leads.
    pub(super) local: SocketAddr,
    external: watch::Receiver<Option<SocketAddr>>,
}

impl Opening {
    /// Waits until others come in somewhere else than before; `None`: nowhere any more. May be cancelled at any time.
    pub(super) async fn changed(&mut self) -> Option<SocketAddr> {
        if self.external.changed().await.is_err() {
            return std::future::pending().await;
        }
        *self.external.borrow_and_update()
    }
}

impl Ports {
    /// Has a port of ours opened; `None` for addresses that the router does not lead to.
    pub(super) fn open(&self, kind: Kind, local: SocketAddr) -> Option<Opening> {
        let port = NonZeroU16::new(local.port())?;
        let own = Route::now()?.own;
        if IpAddr::V4(own) != local.ip() {
            return None;
        }
        let (tell, external) = watch::channel(None);
        self.0.open.send_modify(|open| *open += 1);
        tokio::spawn(self.clone().hold(kind, (own, port), tell, Counted(self.clone())));
        Some(Opening { local, external })
    }

    /// Waits until every port is closed whose opening was dropped.
    pub(super) async fn all_closed(&self) {
        // The sender is ours: it is not gone.
        let _ = self.0.open.subscribe().wait_for(|open| *open == 0).await;
    }

    /// Keeps a port open as long as somebody listens to what is told.
    async fn hold(
        self,
        kind: Kind,
        (own, port): (Ipv4Addr, NonZeroU16),
        tell: watch::Sender<Option<SocketAddr>>,
        _open: Counted,
    ) {
        let mut lease: Option<Lease> = None;
        loop {
            lease = match lease.take() {
                Some(lease) => lease.renewed().await,
                None => {
                    let found = tokio::select! {
                        found = self.router() => found,
                        () = tell.closed() => return,
                    };
                    // In another network this port is nobody's any more.
                    match found.filter(|(there, _)| *there == own) {
                        Some((_, speaks)) => Lease::ask(kind, (own, port), &speaks).await,
                        None => None,
                    }
                }
            };
            let external = lease.as_ref().map(|lease| SocketAddr::V4(lease.external));
            tell.send_if_modified(|told| std::mem::replace(told, external) != external);
            if let Some(external) = external {
                tracing::debug!(port = external.port(), ?kind, "the router lets others in");
            } else {
                self.doubt().await;
            }
            let pause = lease.as_ref().map_or(REFUSED_FOR, |lease| (lease.span / 2).max(SHORTEST_PAUSE));
            tokio::select! {
                () = sleep(pause) => {}
                () = tell.closed() => {
                    if let Some(lease) = lease {
                        lease.close().await;
                    }
                    return;
                }
            }
        }
    }

    /// Our address in the network that we are in, and how its router is asked; `None` when it cannot be.
    async fn router(&self) -> Option<(Ipv4Addr, Speaks)> {
        let route = Route::now()?;
        let mut known = self.0.known.lock().await;
        let settled = known.as_ref().is_some_and(|known| {
            known.route == route && (!matches!(known.speaks, Speaks::Nothing) || known.at.elapsed() < SILENT_FOR)
        });
        if !settled {
            *known = Some(Known { route, speaks: find(route).await, at: Instant::now() });
        }
        let speaks = known.as_ref().map(|known| known.speaks.clone())?;
        (!matches!(speaks, Speaks::Nothing)).then_some((route.own, speaks))
    }

    /// The router refused: the next one who asks finds out anew how it is asked.
    async fn doubt(&self) {
        self.0.known.lock().await.take_if(|known| !matches!(known.speaks, Speaks::Nothing));
    }
}

/// Counts an opening as long as its port may be open.
struct Counted(Ports);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.open.send_modify(|open| *open -= 1);
    }
}

/// Asks in both ways at once; the first answer counts.
async fn find(route: Route) -> Speaks {
    let (control, upnp) = (std::pin::pin!(by_control(route)), std::pin::pin!(by_upnp()));
    let found = match select(control, upnp).await {
        Either::Left((Some(found), _)) | Either::Right((Some(found), _)) => Some(found),
        Either::Left((None, upnp)) => upnp.await,
        Either::Right((None, control)) => control.await,
    };
    found.unwrap_or(Speaks::Nothing)
}

/// A router that speaks PCP alone answers the older protocol's question, too, and says so (RFC 6887 §9).
async fn by_control(route: Route) -> Option<Speaks> {
    let gateway = GatewayAddress::IpV4(route.gateway?);
    match natpmp::external_address(gateway, Some(TIMING)).await {
        Ok(ip) => is_public(ip).then_some(Speaks::NatPmp(gateway)),
        Err(Failure::UnsupportedVersion(VersionCode::Pcp)) => Some(Speaks::Pcp(gateway)),
        Err(_) => None,
    }
}

async fn by_upnp() -> Option<Speaks> {
    let options = SearchOptions { timeout: Some(UPNP_PATIENCE), ..SearchOptions::default() };
    let gateway = search_gateway(options).await.ok()?;
    public_side(&gateway).await.map(|_| Speaks::Upnp(Arc::new(gateway)))
}

/// The address of a UPnP router towards the world, if it has one.
async fn public_side(gateway: &Gateway<Tokio>) -> Option<Ipv4Addr> {
    match timeout(UPNP_PATIENCE, gateway.get_external_ip()).await.ok()?.ok()? {
        IpAddr::V4(ip) if is_public(ip) => Some(ip),
        _ => None,
    }
}

fn is_public(ip: Ipv4Addr) -> bool {
    probe::range(ip.into()) == Range::Public
}

/// A port that a router has opened.
struct Lease {
    external: SocketAddrV4,
    /// For so long.
    span: Duration,
    by: By,
}

enum By {
    Control(PortMapping),
    Upnp { gateway: Arc<Gateway<Tokio>>, kind: Kind, local: SocketAddr },
}

impl Lease {
    /// Asks for a port, the same one outside if it can be had.
    async fn ask(kind: Kind, (own, port): (Ipv4Addr, NonZeroU16), speaks: &Speaks) -> Option<Self> {
        let options = PortMappingOptions {
            external_port: Some(port),
            lifetime_seconds: Some(LEASE_S),
            timeout_config: Some(TIMING),
        };
        match speaks {
            Speaks::Pcp(gateway) => {
                let request = BaseMapRequest::new(*gateway, own.into(), kind.for_control(), port);
                Self::of(pcp::port_mapping(request, None, None, options).await.ok()?).await
            }
            Speaks::NatPmp(gateway) => {
                Self::of(natpmp::port_mapping(*gateway, kind.for_control(), port, options).await.ok()?).await
            }
            Speaks::Upnp(gateway) => {
                Self::by_upnp(gateway.clone(), kind, SocketAddr::new(own.into(), port.get())).await
            }
            Speaks::Nothing => None,
        }
    }

    /// Others come in where the router has its address; if that is a private one, the port is closed again.
    async fn of(mapping: PortMapping) -> Option<Self> {
        let ip = match mapping.mapping_type() {
            PortMappingType::Pcp { external_ip: IpAddr::V4(ip), .. } => Some(ip),
            PortMappingType::Pcp { .. } => None,
            PortMappingType::NatPmp => natpmp::external_address(mapping.gateway(), Some(TIMING)).await.ok(),
        };
        let Some(ip) = ip.filter(|ip| is_public(*ip)) else {
            close(mapping).await;
            return None;
        };
        let external = SocketAddrV4::new(ip, mapping.external_port().get());
        let span = Duration::from_secs(mapping.lifetime().into());
        Some(Self { external, span, by: By::Control(mapping) })
    }

    async fn by_upnp(gateway: Arc<Gateway<Tokio>>, kind: Kind, local: SocketAddr) -> Option<Self> {
        let ip = public_side(&gateway).await?;
        let asked = gateway.add_port(kind.for_upnp(), local.port(), local, LEASE_S, DESCRIPTION);
        timeout(UPNP_PATIENCE, asked).await.ok()?.ok()?;
        let external = SocketAddrV4::new(ip, local.port());
        Some(Self { external, span: Duration::from_secs(LEASE_S.into()), by: By::Upnp { gateway, kind, local } })
    }

    /// For as long again; `None` when the router refuses, or is another by now.
    async fn renewed(self) -> Option<Self> {
        match self.by {
            By::Control(mut mapping) => {
                mapping.renew().await.ok()?;
                Self::of(mapping).await
            }
            By::Upnp { gateway, kind, local } => Self::by_upnp(gateway, kind, local).await,
        }
    }

    async fn close(self) {
        match self.by {
            By::Control(mapping) => close(mapping).await,
            By::Upnp { gateway, kind, local } => {
                // What is not closed now is closed by the router in time.
                let _ = timeout(UPNP_PATIENCE, gateway.remove_port(kind.for_upnp(), local.port())).await;
            }
        }
    }
}

async fn close(mapping: PortMapping) {
    if let Err((error, _)) = mapping.try_drop().await {
        tracing::debug!(%error, "the router closes the port in its own time");
    }
}
