//! What has to be looked after as time goes by: silence, retries, measurements, goodbyes.

use super::effect::Ending;
use super::event::LaneReport;
use super::latency::{Delays, MouthToEar};
use super::members::PING_EVERY;
use super::notice::{Notice, Stats};
use super::peer::Member;
use super::{Leaving, Session};
use crate::rate::Rate;
use rand::CryptoRng;
use resonance_protocol::peer::TransportId;
use resonance_protocol::signal::{ByeReason, Signal};
use std::time::{Duration, Instant};

/// After this much silence it has left.
const LEFT_AFTER: Duration = Duration::from_secs(90);
/// How long goodbyes may take.
const GOODBYE_PATIENCE: Duration = Duration::from_millis(500);

impl<R: CryptoRng> Session<R> {
    /// Ten times a second.
    pub(super) fn tick(&mut self, now: Instant) {
        self.tick_acquaintance(now);
        self.tick_doors(now);
        self.tick_addresses(now);
        for id in self.member_ids() {
            self.tick_member(now, id);
        }
        if self.leaving.as_ref().is_some_and(|leaving| leaving.deadline <= now) {
            self.end(Ending::Left);
        }
    }

    fn tick_member(&mut self, now: Instant, id: TransportId) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let connected = peer.connected;
        let Some(member) = peer.member.as_deref_mut() else { return };
        member.channel.handle_timeout(now);
        let heard = member.last_signal.max(member.last_sound.unwrap_or(member.last_signal));
        if now.saturating_duration_since(heard) >= LEFT_AFTER {
            self.remove_member(now, id, "timeout");
            return;
        }
        if self.miss(now, id) {
            return;
        }
        self.take_state(now, id);
        self.tick_paths(now, id);
        self.tick_texts(now, id, connected);
        let Some(member) = self.member_mut(id) else { return };
        let resend = connected && member.resend_at.take_if(|at| *at <= now).is_some();
        let ping = connected && member.ping_at.is_some_and(|at| at <= now);
        if ping {
            member.ping_at = Some(now + PING_EVERY);
        }
        if resend {
            self.resend(now, id);
        }
        if ping {
            let ping = Signal::Ping { id: self.next_message };
            self.tell(now, id, &ping);
        }
    }

    /// Once a second: figures for the person, reports for the others.
    pub(super) fn every_second(&mut self, now: Instant) {
        self.meet(now);
        let bytes = self.audio.bytes_sent.saturating_sub(self.audio_before);
        self.audio_before = self.audio.bytes_sent;
        let (delays, sent) = (self.audio.delays, self.sent());
        // Where the own way out is narrow reports leave room for sound.
        self.reports_due = self.protection.given().rate == Rate::Full || !self.reports_due;
        let told = self.reports_due;
        for id in self.member_ids() {
            let Some(member) = self.member_mut(id) else { continue };
            let Some(stats) = measure(id, member, bytes * 8, &delays, sent) else { continue };
            let quality = Signal::Quality {
                loss: stats.loss_down,
                jitter_ms: stats.jitter_ms,
                buffer_ms: stats.jitter_buffer_ms,
                burst: member.burst_down,
                queue_ms: member.lane.map_or(0.0, |lane| lane.queue_ms),
                sending_ms: delays.sending_ms(),
            };
            let round_trip_ms = stats.rtt_ms;
            self.notice(Notice::Stats(Box::new(stats)));
            let connected = self.peers.get(&id).is_some_and(|peer| peer.connected);
            // To those who are lost, too: it keeps the channels' clocks together.
            if connected && told {
                self.tell(now, id, &quality);
            }
            self.protect(|protection| {
                if connected {
                    return protection.listen(now, id, round_trip_ms);
                }
                protection.excuse(now, id);
                None
            });
        }
        self.notice_audio();
    }

    pub(super) fn notice_audio(&mut self) {
        self.notice(Notice::Audio(Box::new(self.audio.clone())));
    }

    /// Says goodbye to everyone and ends when they know, or soon.
    pub(super) fn leave(&mut self, now: Instant) {
        if self.leaving.is_some() {
            return;
        }
        let bye = Signal::Bye { reason: ByeReason::Leaving };
        let mut byes = Vec::new();
        for id in self.member_ids() {
            if self.peers.get(&id).is_some_and(|peer| peer.connected) {
                byes.extend(self.tell_numbered(now, id, &bye));
            }
        }
        if byes.is_empty() {
            self.end(Ending::Left);
        }
        self.leaving = Some(Leaving { byes, deadline: now + GOODBYE_PATIENCE });
    }

    pub(super) fn bye_settled(&mut self, _now: Instant, id: u64) {
        let Some(leaving) = &mut self.leaving else { return };
        let before = leaving.byes.len();
        leaving.byes.retain(|bye| *bye != id);
        if before > 0 && leaving.byes.is_empty() {
            self.end(Ending::Left);
        }
    }
}

/// Closes one second of a peer's figures; `None` before its lane has reported.
fn measure(id: TransportId, member: &mut Member, bitrate_up: u64, own: &Delays, sent: (u32, u32)) -> Option<Stats> {
    let lane = member.lane?;
    let before = member.lane_before.replace(lane);
    let since = |count: fn(&LaneReport) -> u64| count(&lane).saturating_sub(before.as_ref().map_or(0, count));
    let (received, lost) = (since(|lane| lane.received), since(|lane| lane.lost));
    member.loss_down = if received + lost == 0 { 0.0 } else { lost as f32 / (received + lost) as f32 };
    member.burst_down = lost as f32 / since(|lane| lane.gaps).max(1) as f32;
    member.bitrates = (if member.paths.route().is_some() { bitrate_up } else { 0 }, since(|lane| lane.bytes) * 8);
    current(id, member, own, sent)
}

/// One peer's figures as they stand; `None` before its lane has reported.
pub(super) fn current(
    id: TransportId,
    member: &Member,
    own: &Delays,
    (codec_up, copies_up): (u32, u32),
) -> Option<Stats> {
    let lane = member.lane?;
    Some(Stats {
        peer: id.short(),
        rtt_ms: member.rtt_ms,
        jitter_ms: lane.jitter_ms,
        loss_up: member.loss_up,
        loss_down: member.loss_down,
        repaired: lane.repaired,
        concealed: lane.concealed,
        jitter_buffer_ms: lane.buffer_ms,
        delay: MouthToEar::of(member, own),
        bitrate_up: member.bitrates.0,
        codec_up,
        copies_up,
        bitrate_down: member.bitrates.1,
        path: member.paths.route().map_or("none", |route| route.way.word()),
        refused: lane.refused,
    })
}
