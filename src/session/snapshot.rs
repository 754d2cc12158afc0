//! Makes the plain snapshot that faces draw from.

use super::latency::{Delays, MouthToEar};
use super::path::Way;
use super::peer::Member;
use super::view::{Connection, Invite, Me, PeerView, Seeking, View, WayIn};
use super::{Entry, Session};
use rand::CryptoRng;
use resonance_protocol::peer::TransportId;
use std::time::{Duration, Instant};

/// Shorter silence is mended before it could be read.
const WORTH_SAYING: Duration = Duration::from_secs(1);

impl<R: CryptoRng> Session<R> {
    /// One moment of the session, for a face to draw.
    pub fn view(&self, now: Instant) -> View {
        let mut members: Vec<_> = self.members().collect();
        members.sort_by_key(|(_, member)| member.seat);
        let device = |name: &str| if name.is_empty() { "none".to_owned() } else { name.to_owned() };
        View {
            elapsed: now.saturating_duration_since(self.started),
            invite: match &self.entry {
                Entry::Create { link, .. } | Entry::Join(link) => Invite::Link(link.to_text()),
                Entry::Lan(room) => Invite::Lan { room: room.clone() },
            },
            admission: self.admission_view(now),
            me: Me {
                id: self.me.short(),
                name: self.name.clone(),
                muted: self.muted,
                deafened: self.deafened,
                recording: self.recording.clone(),
                speaking: self.audio.speaking && !self.muted,
                level_db: self.audio.input_level_db,
                facing_deg: self.facing_deg,
                input: device(&self.devices.0),
                output: device(&self.devices.1),
                delays: self.audio.delays,
                queues: self.audio.queues,
                sent: self.sent(),
                spatial_engine: self.audio.spatial_engine.to_string(),
            },
            session_number: self.numbers.view(),
            alarms: self.acquaintances.alarms(),
            peers: members
                .into_iter()
                .map(|(id, member)| PeerView {
                    host: self.is_authority(id, &member.identity),
                    ..peer_view(id, member, now, &self.audio.delays)
                })
                .collect(),
            talk: self.talk.iter().cloned().collect(),
            reach: self.reach(),
            problems: self.missing.values().map(|missing| missing.words.clone()).collect(),
            reduced: self.audio.reduced,
        }
    }

    /// Bits a second of the own voice's frames, and how many copies go with each.
    pub(super) fn sent(&self) -> (u32, u32) {
        (self.audio.codec_bits, self.protection.given().degree.copies())
    }

    /// Whether somebody speaks now: without making a snapshot.
    pub fn is_lively(&self) -> bool {
        self.audio.speaking || self.members().any(|(_, member)| member.speaking)
    }

    /// How far it has come with being let in.
    pub fn seeking(&self, now: Instant) -> Seeking {
        let way = |via: &'static str| {
            let found: Vec<_> = self.peers.values().filter(|peer| peer.via == via).collect();
            WayIn {
                via,
                found: found.len(),
                connected: found.iter().filter(|peer| peer.connected).count(),
                failures: found.iter().filter(|peer| !peer.connected).map(|peer| peer.failures).max().unwrap_or(0),
            }
        };
        let connected = || self.peers.values().filter(|peer| peer.connected);
        Seeking {
            elapsed: now.saturating_duration_since(self.started),
            left: self.join_until.saturating_duration_since(now),
            hints: if let Entry::Join(link) = &self.entry { link.hints.len() } else { 0 },
            ways: ["hint", "mdns", "dht", "member"].map(way).into(),
            greeting: connected().any(|peer| peer.attempt.is_some() || peer.door.is_some()),
            relayed: connected().any(|peer| peer.wanted && peer.seen_at.is_none()),
        }
    }

    fn reach(&self) -> String {
        let connecting = self.peers.values().filter(|peer| peer.wanted && peer.member.is_none() && peer.door.is_none());
        let connecting = connecting.count();
        if self.waits() {
            return "You knocked: waiting to be let in…".to_owned();
        }
        match (self.joined, self.members().next().is_some(), connecting) {
            (false, _, _) => "Looking for the others…".to_owned(),
            (true, false, 0) => "Waiting for somebody to join.".to_owned(),
            (true, _, 0) => String::new(),
            (true, _, 1) => "Connecting to one more…".to_owned(),
            (true, _, more) => format!("Connecting to {more} more…"),
        }
    }
}

fn peer_view(id: TransportId, member: &Member, now: Instant, own: &Delays) -> PeerView {
    let lane = member.lane.as_ref();
    PeerView {
        id: id.short(),
        name: member.name.clone(),
        host: false,
        level_db: lane.map_or(-90.0, |lane| lane.level_db),
        speaking: member.speaking && member.lost_since.is_none(),
        muted: member.muted,
        deafened: member.deafened,
        recording: member.recording,
        trust: member.trust,
        connection: connection(member, now),
        rtt_ms: member.rtt_ms,
        loss_down: member.loss_down,
        loss_up: member.loss_up,
        jitter_ms: lane.map_or(0.0, |lane| lane.jitter_ms),
        jitter_buffer_ms: lane.map_or(0.0, |lane| lane.buffer_ms),
        delay: MouthToEar::of(member, own),
        position: member.position,
        volume_db: member.volume_db,
        safety_number: member.safety_number.clone(),
    }
}

fn connection(member: &Member, now: Instant) -> Connection {
    if member.lost_since.is_some() || member.paths.silent_for().is_some_and(|silent| silent >= WORTH_SAYING) {
        let silent_for = now.saturating_duration_since(member.last_sound.unwrap_or(member.last_signal));
        return Connection::Reconnecting { silent_for };
    }
    match member.paths.route().map(|route| route.way) {
        None => Connection::Connecting,
        Some(Way::Direct) => Connection::Direct,
        Some(Way::Relayed) => Connection::Relayed,
        Some(Way::Member) => Connection::Member,
    }
}
