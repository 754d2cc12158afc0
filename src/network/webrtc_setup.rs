//! How the `webrtc` crate is set up, and what is heard back from it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use resonance_protocol::peer::TransportId;
use rtc::ice::mdns::MulticastDnsMode;
use rtc::ice::network_type::NetworkType;
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::media_engine::MIME_TYPE_OPUS;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind,
};
use tokio::sync::{mpsc, watch};
use webrtc::error::Result;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_remote::TrackRemote;
use webrtc::peer_connection::{
    MediaEngine, PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCConfiguration,
    RTCConfigurationBuilder, RTCIceCandidateType, RTCIceGatheringState, RTCIceServer, RTCIceTransportPolicy,
    RTCPeerConnectionIceEvent, RTCPeerConnectionState, Registry, SettingEngine, SettingEngineBuilder, StatsSelector,
};
use webrtc::rtp_transceiver::RtpSender;

use super::inbound::InboundSink;
use super::media_pump::{CLOCK_RATE, Carrier, PAYLOAD_TYPE};
use super::peer_connection::{Policy, Shared};
use super::{Relay, Route, Way};

/// Time between connectivity checks. The default of 200 ms makes the set-up eight times as slow on a fast network.
const CHECK_INTERVAL: Duration = Duration::from_millis(20);

/// Checks of one pair of candidates before it is given up: 4 s, since the count has to grow as the interval shrinks.
const CHECKS_PER_PAIR: u16 = 200;

/// Silence after which the connection counts as interrupted. Packets flow each 10 ms, muted or not.
const DISCONNECTED_AFTER: Duration = Duration::from_secs(4);

/// Further silence after which ICE gives up: longer than most outages of a home connection.
const FAILED_AFTER: Duration = Duration::from_secs(20);

/// How long a direct way is waited for when one through a relay is there already: holes in two routers take a few tries, and meanwhile
/// sound goes by a stream.
const RELAY_PATIENCE: Duration = Duration::from_millis(1_200);

/// The same when sound goes through a relay already and a better way is looked for.
const LONGER_RELAY_PATIENCE: Duration = Duration::from_secs(4);

/// Time between consent checks, which also measure the round-trip time.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(1);

/// Candidates found late that may wait to be reported.
const CANDIDATE_QUEUE: usize = 32;

/// Packets may overtake each other by this many and still be taken once: as many as the sealed packets' own window.
const REPLAY_WINDOW: usize = 1_024;

/// What the peer connection's driver tells its task.
pub(super) struct Signals {
    /// The newest connection state.
    pub(super) state: watch::Receiver<RTCPeerConnectionState>,
    /// Whether all local candidates are known.
    pub(super) gathered: watch::Receiver<bool>,
    /// Local candidates and the media section they belong to.
    pub(super) candidates: mpsc::Receiver<(String, String)>,
}

/// Listens to the driver. It runs on the driver's own task, so it only hands over and never waits.
pub(super) struct Observer {
    peer: TransportId,
    inbound: InboundSink,
    voice_taken: AtomicBool,
    state: watch::Sender<RTCPeerConnectionState>,
    gathered: watch::Sender<bool>,
    candidates: mpsc::Sender<(String, String)>,
}

impl Observer {
    /// An observer of the connection to `peer`, and what it will tell.
    pub(super) fn new(peer: TransportId, inbound: InboundSink) -> (Self, Signals) {
        let (state, watched_state) = watch::channel(RTCPeerConnectionState::New);
        let (gathered, watched_gathered) = watch::channel(false);
        let (candidates, found) = mpsc::channel(CANDIDATE_QUEUE);
        let observer = Self { peer, inbound, voice_taken: AtomicBool::new(false), state, gathered, candidates };
        (observer, Signals { state: watched_state, gathered: watched_gathered, candidates: found })
    }
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Observer {
    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        self.state.send_replace(state);
    }

    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        self.gathered.send_replace(state == RTCIceGatheringState::Complete);
    }

    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        if let Ok(candidate) = event.candidate.to_json()
            && !candidate.candidate.is_empty()
        {
            let found = (candidate.candidate, candidate.sdp_mid.unwrap_or_default());
            if self.candidates.try_send(found).is_err() {
                tracing::debug!(peer = %self.peer, "a late candidate is lost");
            }
        }
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        if self.voice_taken.swap(true, Ordering::Relaxed) {
            tracing::debug!(peer = %self.peer, "a second track is ignored");
            return;
        }
        tokio::spawn(self.inbound.clone().drain(track, self.peer));
    }
}

/// A peer connection and our voice in it.
pub(super) struct Connection {
    /// The connection itself.
    pub(super) peer_connection: Arc<dyn PeerConnection>,
    /// Where our packets go in.
    pub(super) track: Arc<TrackLocalStaticRTP>,
    /// What sends them.
    pub(super) voice: Arc<dyn RtpSender>,
}

/// Makes a peer connection bound to `addresses` with our voice as its one track. `patient`: a way through a relay is no better than none
/// for a while.
///
/// # Errors
///
/// When none of the addresses can be bound, or the crate refuses its settings.
pub(super) async fn connect(
    observer: Observer,
    addresses: Vec<SocketAddr>,
    shared: &Shared,
    patient: bool,
) -> Result<Connection> {
    let mut media = MediaEngine::default();
    media.register_codec(
        RTCRtpCodecParameters { rtp_codec: codec(), payload_type: PAYLOAD_TYPE },
        RtpCodecKind::Audio,
    )?;
    let connection = PeerConnectionBuilder::new()
        .with_configuration(configuration(shared.policy, &shared.servers))
        .with_media_engine(media)
        .with_setting_engine(settings(if patient { LONGER_RELAY_PATIENCE } else { RELAY_PATIENCE }))
        // No interceptors: loss is answered by redundancy under the seal, and reports travel as sealed signals.
        .with_interceptor_registry(Registry::new())
        .with_handler(Arc::new(observer))
        .with_udp_addrs(addresses)
        .build()
        .await?;
    let track = Arc::new(TrackLocalStaticRTP::new(voice(shared.ssrc)));
    let voice = connection.add_track(track.clone()).await?;
    Ok(Connection { peer_connection: Arc::new(connection), track, voice })
}

fn configuration(policy: Policy, servers: &[Relay]) -> RTCConfiguration {
    let transports = match policy {
        Policy::AnyWay => RTCIceTransportPolicy::All,
        Policy::RelaysOnly => RTCIceTransportPolicy::Relay,
    };
    RTCConfigurationBuilder::new()
        .with_ice_transport_policy(transports)
        .with_ice_servers(servers.iter().map(server).collect())
        .build()
}

/// Each server both tells us our address as it sees it (STUN) and relays (TURN).
fn server(relay: &Relay) -> RTCIceServer {
    let place = relay.url.strip_prefix("turn:").unwrap_or(&relay.url);
    let stun = format!("stun:{}", place.split('?').next().unwrap_or(place));
    RTCIceServer {
        urls: vec![stun, relay.url.clone()],
        username: relay.username.clone(),
        credential: relay.credential.to_string(),
    }
}

fn settings(relay_patience: Duration) -> SettingEngine {
    SettingEngineBuilder::new()
        .with_ice_connection_attempts(Some(CHECK_INTERVAL), Some(CHECKS_PER_PAIR))
        .with_ice_timeouts(Some(DISCONNECTED_AFTER), Some(FAILED_AFTER), Some(KEEPALIVE_INTERVAL))
        .with_host_acceptance_min_wait(Some(Duration::ZERO))
        .with_srflx_acceptance_min_wait(Some(Duration::ZERO))
        .with_prflx_acceptance_min_wait(Some(Duration::ZERO))
        .with_relay_acceptance_min_wait(Some(relay_patience))
        .with_multicast_dns_mode(MulticastDnsMode::Disabled)
        .with_network_types(vec![NetworkType::Udp4, NetworkType::Udp6])
        .with_srtp_replay_protection_window(REPLAY_WINDOW)
        .build()
}

fn codec() -> RTCRtpCodec {
    RTCRtpCodec { mime_type: MIME_TYPE_OPUS.into(), clock_rate: CLOCK_RATE, channels: 2, ..Default::default() }
}

fn voice(ssrc: u32) -> MediaStreamTrack {
    let name = format!("voice-{ssrc:08x}");
    let coding = RTCRtpEncodingParameters {
        rtp_coding_parameters: RTCRtpCodingParameters { ssrc: Some(ssrc), ..Default::default() },
        codec: codec(),
        ..Default::default()
    };
    MediaStreamTrack::new(name.clone(), name, String::new(), RtpCodecKind::Audio, vec![coding])
}

/// The way that media takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path {
    /// Who is between, and the candidates.
    pub(super) route: Route,
    /// What carries our packets.
    pub(super) carrier: Carrier,
    /// Round-trip time of the newest consent check, in ms; `None` before the first.
    pub(super) rtt_ms: Option<f32>,
}

impl Default for Path {
    fn default() -> Self {
        let route = Route { way: Way::Direct, local: "unknown", remote: "unknown" };
        Self { route, carrier: Carrier::Socket, rtt_ms: None }
    }
}

/// The way that `connection` has chosen; `None` while there is none. `voice` is its sender of our track, `servers` are those
/// that it was begun with.
pub(super) async fn selected_path(
    connection: &dyn PeerConnection,
    voice: &dyn RtpSender,
    servers: &[Relay],
) -> Option<Path> {
    let ice = voice.transport().await.ok()??.ice_transport();
    let pair = ice.get_selected_candidate_pair().await.ok()??;
    // Only the report knows the round-trip time, and it does not list candidates that came within descriptions.
    let report = connection.get_stats(Instant::now(), StatsSelector::None).await;
    let selected = &report.transport()?.selected_candidate_pair_id;
    let measured = report.candidate_pairs().find(|pair| pair.stats.id == *selected && pair.responses_received > 0);
    let (local, remote) = (pair.local(), pair.remote());
    let relayed = |kind: RTCIceCandidateType| kind == RTCIceCandidateType::Relay;
    let relays = [local, remote].into_iter().filter(|candidate| relayed(candidate.typ));
    let ways = relays.map(|candidate| way_through(&candidate.address, servers));
    Some(Path {
        route: Route {
            way: ways.reduce(|one, other| if one == other { one } else { Way::Relayed }).unwrap_or(Way::Direct),
            local: name_of(local.typ),
            remote: name_of(remote.typ),
        },
        carrier: if relayed(local.typ) { Carrier::Turn } else { Carrier::Socket },
        rtt_ms: measured.map(|pair| (pair.current_round_trip_time * 1_000.0) as f32),
    })
}

/// Who relays from this address: a server relays from the address that it is asked at.
fn way_through(address: &str, servers: &[Relay]) -> Way {
    let at = |relay: &&Relay| {
        let place = relay.url.strip_prefix("turn:").unwrap_or(&relay.url);
        place
            .strip_prefix(address)
            .or_else(|| place.strip_prefix(&format!("[{address}]")))
            .is_some_and(|rest| rest.starts_with(':'))
    };
    servers.iter().find(at).map_or(Way::Relayed, |relay| relay.way)
}

fn name_of(kind: RTCIceCandidateType) -> &'static str {
    match kind {
        RTCIceCandidateType::Host => "host",
        RTCIceCandidateType::Srflx => "srflx",
        RTCIceCandidateType::Prflx => "prflx",
        RTCIceCandidateType::Relay => "relay",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_asked_both_ways_and_names_the_way_through_it() {
        let relay =
            |url: &str, way| Relay { url: url.into(), username: "u".into(), credential: "c".to_owned().into(), way };
        let servers =
            [relay("turn:192.0.2.1:3478?transport=udp", Way::Member), relay("turn:[2001:db8::1]:3478", Way::Member)];
        assert_eq!(server(&servers[0]).urls, ["stun:192.0.2.1:3478", "turn:192.0.2.1:3478?transport=udp"]);
        assert_eq!(server(&servers[1]).urls, ["stun:[2001:db8::1]:3478", "turn:[2001:db8::1]:3478"]);
        assert_eq!(way_through("192.0.2.1", &servers), Way::Member);
        assert_eq!(way_through("2001:db8::1", &servers), Way::Member);
        assert_eq!(way_through("192.0.2.10", &servers), Way::Relayed, "of the other side's");
    }
}
