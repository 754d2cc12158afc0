//! The media connection to one peer: a task that owns one WebRTC peer connection from first description to close.
//!
//! Descriptions carry all candidates that are known when they are made, which takes a few milliseconds as long as only
//! our own interfaces are asked; whatever is found later is trickled. ICE says whether there is a way, DTLS-SRTP keeps
//! outsiders from feeding packets in, and the seal inside each packet protects what is said.

use std::sync::Arc;
use std::time::{Duration, Instant};

use resonance_protocol::peer::TransportId;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep_until, timeout};
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::peer_connection::{PeerConnection, RTCIceCandidateInit, RTCPeerConnectionState, RTCSessionDescription};
use webrtc::rtp_transceiver::RtpSender;

use super::candidates::{self, DescriptionError, Loopback, MAX_REMOTE_CANDIDATES};
use super::inbound::InboundSink;
use super::media_pump::Outlets;
use super::ports::{Kind, Opening as OpenPort, Ports};
use super::webrtc_setup::{self, Connection, Observer, Path, Signals};
use super::{DescriptionKind, Event, Relay};

/// How long a description may wait for candidates. Asking the interfaces takes about a millisecond.
const GATHERING_PATIENCE: Duration = Duration::from_millis(100);

/// The same when servers were asked, too: what they say is trickled, since a slow one must not delay what needs none.
const TRICKLE_AFTER: Duration = Duration::from_millis(20);

/// How long the two sides may take to find a way to each other after the descriptions are exchanged.
const CONNECT_DEADLINE: Duration = Duration::from_secs(15);

/// How long an offer may stay without an answer.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);

/// How often the round-trip time is reported.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// Instructions that may wait for the task: an answer and the candidates that follow it.
const INSTRUCTION_QUEUE: usize = 64;

/// How this side begins.
pub(super) enum Opening {
    /// It makes the offer, and says which way is taken: `patient`, one that needs nobody between may take its time.
    Offer { patient: bool },
    /// It answers this offer.
    Answer(String),
}

/// What the task is told afterwards. Dropping the sender closes the connection.
pub(super) enum Instruction {
    /// The other side's answer.
    Answer(String),
    /// Another of its candidates.
    Candidate { candidate: String, mid: String },
}

/// What all media connections share.
#[derive(Clone)]
pub(super) struct Shared {
    /// Where inbound packets go.
    pub(super) inbound: InboundSink,
    /// Where outbound packets come from.
    pub(super) outlets: Outlets,
    /// The RTP source number of this process.
    pub(super) ssrc: u32,
    /// Which ways media may take.
    pub(super) policy: Policy,
    /// Servers that help it through.
    pub(super) servers: Arc<[Relay]>,
    /// What opens ports in the router; `None`: it is not asked.
    pub(super) ports: Option<Ports>,
}

/// Which ways media may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    /// Any that is found.
    AnyWay,
    /// Through relays only, and nothing that leaves may carry an address of ours.
    RelaysOnly,
}

/// Events of one connection, marked so that those of a connection that was replaced can be told apart.
pub(super) type MediaEvents = mpsc::Sender<(TransportId, u64, Event)>;

/// Why a connection ended other than by being told to.
#[derive(Debug, thiserror::Error)]
enum MediaError {
    #[error("{0}")]
    Description(#[from] DescriptionError),
    #[error("the media connection could not be set up: {0}")]
    WebRtc(#[from] webrtc::error::Error),
    #[error("no relay is known, and no other way is allowed")]
    NoRelay,
    #[error("no description was made")]
    NoDescription,
    #[error("nobody answered the offer")]
    NoAnswer,
    #[error("no way was found between the two machines")]
    NoPath,
    #[error("the connection broke")]
    Broken,
    #[error("the other side closed the connection")]
    ClosedThere,
}

/// Starts the task of the connection `generation`, for the negotiation `number`. It ends when the returned sender is dropped or after it has reported `MediaDown`.
pub(super) fn spawn(
    peer: TransportId,
    (generation, number): (u64, u64),
    opening: Opening,
    loopback: Loopback,
    shared: Shared,
    events: MediaEvents,
) -> mpsc::Sender<Instruction> {
    let (sender, instructions) = mpsc::channel(INSTRUCTION_QUEUE);
    let report = Report { peer, generation, number, events };
    tokio::spawn(async move {
        if let Err(error) = run(&report, opening, loopback, &shared, instructions).await {
            tracing::debug!(%peer, %error, "media connection ended");
            report.send(Event::MediaDown { peer, reason: error.to_string() }).await;
        }
    });
    sender
}

struct Report {
    peer: TransportId,
    generation: u64,
    number: u64,
    events: MediaEvents,
}

impl Report {
    async fn send(&self, event: Event) {
        // A closed queue means that the room is shutting down: nobody is left to be told.
        let _ = self.events.send((self.peer, self.generation, event)).await;
    }
}

async fn run(
    report: &Report,
    opening: Opening,
    loopback: Loopback,
    shared: &Shared,
    mut instructions: mpsc::Receiver<Instruction>,
) -> Result<(), MediaError> {
    let began = Instant::now();
    let (observer, mut signals) = Observer::new(report.peer, shared.inbound.clone());
    let patient = matches!(opening, Opening::Offer { patient: true });
    let relayed_only = shared.policy == Policy::RelaysOnly;
    if relayed_only && shared.servers.is_empty() {
        return Err(MediaError::NoRelay);
    }
    let addresses = candidates::local_addresses(loopback);
    let Connection { peer_connection, track, voice } =
        webrtc_setup::connect(observer, addresses, shared, patient).await?;
    let mut media = Media {
        connection: peer_connection,
        track,
        voice,
        report,
        servers: &shared.servers,
        ports: shared.ports.as_ref(),
        opened: None,
        began,
        up: false,
        early: Vec::new(),
        relayed_only,
    };
    let outcome = match media.describe(opening, &mut signals).await {
        Ok(deadline) => media.serve(deadline, &mut signals, &mut instructions, &shared.outlets).await,
        Err(error) => Err(error),
    };
    shared.outlets.close(&media.track);
    media.opened = None;
    if let Err(error) = media.connection.close().await {
        tracing::debug!(peer = %report.peer, %error, "closing the media connection");
    }
    outcome
}

struct Media<'a> {
    connection: Arc<dyn PeerConnection>,
    track: Arc<TrackLocalStaticRTP>,
    voice: Arc<dyn RtpSender>,
    report: &'a Report,
    servers: &'a [Relay],
    ports: Option<&'a Ports>,
    /// The router lets the other side in to our socket.
    opened: Option<OpenPort>,
    began: Instant,
    up: bool,
    /// Candidates that came before the description they belong to.
    early: Vec<RTCIceCandidateInit>,
    /// Nothing that leaves may carry an address of ours.
    relayed_only: bool,
}

impl Media<'_> {
    /// Makes and reports our description; returns when the connection must stand.
    async fn describe(&mut self, opening: Opening, signals: &mut Signals) -> Result<tokio::time::Instant, MediaError> {
        let (kind, patience) = match opening {
            Opening::Offer { .. } => {
                let offer = self.connection.create_offer(None).await?;
                self.connection.set_local_description(offer).await?;
                (DescriptionKind::Offer, ANSWER_DEADLINE)
            }
            Opening::Answer(offer) => {
                let offer = RTCSessionDescription::offer(candidates::vet_description(&offer)?)?;
                self.connection.set_remote_description(offer).await?;
                let answer = self.connection.create_answer(None).await?;
                self.connection.set_local_description(answer).await?;
                (DescriptionKind::Answer, CONNECT_DEADLINE)
            }
        };
        // On time-out the description goes out with what there is; the rest is trickled.
        let patience_for_candidates = if self.servers.is_empty() { GATHERING_PATIENCE } else { TRICKLE_AFTER };
        let _ = timeout(patience_for_candidates, signals.gathered.wait_for(|complete| *complete)).await;
        while signals.candidates.try_recv().is_ok() {}
        let description = self.connection.local_description().await.ok_or(MediaError::NoDescription)?;
        let open = |ports: &Ports| candidates::own_sockets(&description.sdp).find_map(|at| ports.open(Kind::Udp, at));
        self.opened = self.ports.and_then(open);
        let peer = self.report.peer;
        let sdp = if self.relayed_only { candidates::relayed_only(&description.sdp) } else { description.sdp };
        self.report.send(Event::LocalDescription { peer, kind, sdp, number: self.report.number }).await;
        Ok(tokio::time::Instant::now() + patience)
    }

    async fn serve(
        &mut self,
        mut deadline: tokio::time::Instant,
        signals: &mut Signals,
        instructions: &mut mpsc::Receiver<Instruction>,
        outlets: &Outlets,
    ) -> Result<(), MediaError> {
        let peer = self.report.peer;
        let mut reports = interval(REPORT_INTERVAL);
        reports.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut connected_once = false;
        loop {
            tokio::select! {
                instruction = instructions.recv() => match instruction {
                    None => return Ok(()),
                    Some(Instruction::Answer(sdp)) => {
                        self.accept_answer(&sdp).await?;
                        deadline = tokio::time::Instant::now() + CONNECT_DEADLINE;
                    }
                    Some(Instruction::Candidate { candidate, mid }) => self.add_candidate(candidate, mid).await,
                },
                changed = signals.state.changed() => {
                    if changed.is_err() {
                        return Err(MediaError::Broken);
                    }
                    let state = *signals.state.borrow_and_update();
                    connected_once |= state == RTCPeerConnectionState::Connected;
                    self.follow(state, connected_once, outlets).await?;
                }
                Some((candidate, mid)) = signals.candidates.recv() => {
                    let shown = if self.relayed_only { candidates::relayed(&candidate) } else { Some(candidate) };
                    if let Some(candidate) = shown {
                        self.report.send(Event::LocalCandidate { peer, candidate, mid }).await;
                    }
                }
                Some(candidate) = let_in(&mut self.opened) => {
                    self.report.send(Event::LocalCandidate { peer, candidate, mid: String::new() }).await;
                }
                _ = reports.tick(), if self.up => {
                    if let Some(path) = self.path().await && let Some(rtt_ms) = path.rtt_ms {
                        self.report.send(Event::MediaRtt { peer, rtt_ms }).await;
                    }
                }
                () = sleep_until(deadline), if !connected_once => {
                    let answered = self.connection.remote_description().await.is_some();
                    return Err(if answered { MediaError::NoPath } else { MediaError::NoAnswer });
                }
            }
        }
    }

    async fn accept_answer(&mut self, sdp: &str) -> Result<(), MediaError> {
        if self.connection.remote_description().await.is_some() {
            tracing::debug!(peer = %self.report.peer, "a second answer is ignored");
            return Ok(());
        }
        let answer = RTCSessionDescription::answer(candidates::vet_description(sdp)?)?;
        self.connection.set_remote_description(answer).await?;
        for candidate in std::mem::take(&mut self.early) {
            self.try_candidate(candidate).await;
        }
        Ok(())
    }

    async fn add_candidate(&mut self, candidate: String, mid: String) {
        if !candidates::vet_candidate(&candidate) {
            tracing::debug!(peer = %self.report.peer, "a candidate is not usable");
            return;
        }
        let candidate =
            RTCIceCandidateInit { candidate, sdp_mid: Some(mid), sdp_mline_index: Some(0), ..Default::default() };
        if self.connection.remote_description().await.is_some() {
            self.try_candidate(candidate).await;
        } else if self.early.len() < MAX_REMOTE_CANDIDATES {
            self.early.push(candidate);
        }
    }

    async fn try_candidate(&self, candidate: RTCIceCandidateInit) {
        if let Err(error) = self.connection.add_ice_candidate(candidate).await {
            tracing::debug!(peer = %self.report.peer, %error, "a candidate is not usable");
        }
    }

    async fn follow(
        &mut self,
        state: RTCPeerConnectionState,
        connected_once: bool,
        outlets: &Outlets,
    ) -> Result<(), MediaError> {
        let peer = self.report.peer;
        tracing::debug!(%peer, %state, "media connection");
        match state {
            RTCPeerConnectionState::Connected if !self.up => {
                self.up = true;
                let path = self.path().await.unwrap_or_default();
                let Path { route, carrier, .. } = path;
                outlets.open(self.track.clone(), carrier);
                let setup_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
                self.report.send(Event::MediaUp { peer, route, setup_ms }).await;
            }
            RTCPeerConnectionState::Disconnected if self.up => {
                // ICE keeps trying and may recover; until then packets would only queue up and arrive stale.
                self.up = false;
                outlets.close(&self.track);
                self.began = Instant::now();
                self.report.send(Event::MediaDown { peer, reason: MediaError::Broken.to_string() }).await;
            }
            RTCPeerConnectionState::Failed if connected_once => return Err(MediaError::Broken),
            RTCPeerConnectionState::Failed => return Err(MediaError::NoPath),
            RTCPeerConnectionState::Closed => return Err(MediaError::ClosedThere),
            _ => {}
        }
        Ok(())
    }

    async fn path(&self) -> Option<Path> {
        webrtc_setup::selected_path(&*self.connection, &*self.voice, self.servers).await
    }
}

/// The candidate for a port that the router has just opened; never, where none is to be opened. May be cancelled at any time.
async fn let_in(opened: &mut Option<OpenPort>) -> Option<String> {
    match opened {
        Some(opening) => {
            let external = opening.changed().await;
            external.map(|external| candidates::mapped(external, opening.local))
        }
        None => std::future::pending().await,
    }
}
