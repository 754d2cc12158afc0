//! How sound is set up, kept up and missed: what [`Paths`](super::path::Paths) wants, said to the network, the ears and the other side.

use super::Session;
use super::effect::{AudioEffect, Effect};
use super::event::{AudioReport, Description};
use super::notice::Notice;
use super::path::Route;
use super::peer::Said;
use rand::CryptoRng;
use resonance_protocol::media::HopSealer;
use resonance_protocol::peer::TransportId;
use resonance_protocol::signal::{RekeyReason, Signal};
use std::time::{Duration, Instant};

/// After this much silence a peer is lost.
const LOST_AFTER: Duration = Duration::from_secs(6);

/// When its connection breaks, this much is enough.
const BROKEN_AFTER: Duration = Duration::from_secs(3);

/// A member that sound begins to reach later than this after it was handed our key is handed the current one.
const KEY_STAYS_NEW: Duration = Duration::from_secs(1);

/// A description that is lost is said again so often: each time over another connection than the one that broke.
const REPEATS: u8 = 3;

impl<R: CryptoRng> Session<R> {
    /// Somebody has come in: the first negotiation, and the stream beside it.
    pub(super) fn begin_paths(&mut self, now: Instant, id: TransportId) {
        if self.offers_to(id) && self.member_mut(id).is_some_and(|member| member.paths.route().is_none()) {
            self.offer(now, id, false);
        }
        self.tick_paths(now, id);
    }

    fn offer(&mut self, now: Instant, id: TransportId, patient: bool) {
        let Some(member) = self.member_mut(id) else { return };
        let number = member.paths.offer(now);
        self.do_this(Effect::OpenMedia { peer: id, number, patient });
    }

    /// Ten times a second: does what the ways to a member need.
    pub(super) fn tick_paths(&mut self, now: Instant, id: TransportId) {
        let offers = self.offers_to(id);
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let (connected, addresses) = (peer.connected, &peer.addresses);
        let Some(member) = peer.member.as_deref_mut() else { return };
        let wants = member.paths.look(now, connected);
        if wants.renew {
            let addresses = addresses.clone();
            self.do_this(Effect::Renew { peer: id, addresses });
        }
        if let Some(on) = wants.stream {
            self.do_this(Effect::Stream { peer: id, on });
            self.audio(AudioEffect::Stream { peer: id, on });
        }
        if offers && (wants.negotiate || wants.better) {
            self.offer(now, id, !wants.negotiate);
        } else if wants.negotiate {
            self.describe(now, id, Signal::Reconnect, REPEATS);
        }
        if let Some(route) = wants.tell {
            let setup_ms = self.member_mut(id).map_or(0, |member| member.paths.age(now).as_millis() as u64);
            self.tell_route(id, route, setup_ms);
        }
    }

    fn tell_route(&mut self, id: TransportId, route: Route, setup_ms: u64) {
        let Route { way, local, remote } = route;
        self.notice(Notice::MediaConnected { peer: id.short(), path: way.word(), local, remote, setup_ms });
    }

    /// Says something of the newest negotiation; again if it is lost.
    fn describe(&mut self, now: Instant, id: TransportId, signal: Signal, repeats: u8) {
        let message = self.tell_numbered(now, id, &signal);
        if let Some(member) = self.member_mut(id) {
            member.description = message.map(|message| Said { message, signal, repeats });
        }
    }

    /// Our half of a media negotiation is ready.
    pub(super) fn describe_media(
        &mut self,
        now: Instant,
        id: TransportId,
        kind: Description,
        sdp: String,
        number: u64,
    ) {
        if !self.member_mut(id).is_some_and(|member| member.paths.is_newest(number)) {
            return;
        }
        let signal = match kind {
            Description::Offer => Signal::Offer { sdp, number },
            Description::Answer => Signal::Answer { sdp, number },
        };
        self.describe(now, id, signal, REPEATS);
    }

    /// Message `id` was delivered: a hop key that was in it is held by the other side now.
    pub(super) fn media_delivered(&mut self, to: TransportId, id: u64) {
        let me = self.me;
        let Some(member) = self.member_mut(to) else { return };
        member.description.take_if(|said| said.message == id);
        if let Some((_, key)) = member.hop_key.take_if(|(message, _)| *message == id) {
            let hop = Box::new(HopSealer::new(&key, me, to));
            self.audio(AudioEffect::HopSealer { peer: to, hop });
        }
    }

    /// Message `id` was lost: if it was our description, and the other side is there, it is said again at once.
    pub(super) fn media_undelivered(&mut self, now: Instant, to: TransportId, id: u64) {
        let Some(peer) = self.peers.get_mut(&to) else { return };
        let (connected, member) = (peer.connected, peer.member.as_deref_mut());
        let lost = member.and_then(|member| member.description.take_if(|said| said.message == id));
        if let Some(Said { signal, repeats, .. }) = lost.filter(|said| connected && said.repeats > 0) {
            self.describe(now, to, signal, repeats - 1);
        }
    }

    pub(super) fn hear_offer(&mut self, now: Instant, from: TransportId, sdp: String, number: u64) {
        if self.member_mut(from).is_some_and(|member| member.paths.offered(now, number)) {
            self.do_this(Effect::AcceptOffer { peer: from, sdp, number });
        }
    }

    pub(super) fn hear_answer(&mut self, now: Instant, from: TransportId, sdp: String, number: u64) {
        if self.member_mut(from).is_some_and(|member| member.paths.answered(now, number)) {
            self.do_this(Effect::AcceptAnswer { peer: from, sdp });
        }
    }

    pub(super) fn hear_candidate(&mut self, from: TransportId, candidate: String, mid: String, number: u64) {
        if self.member_mut(from).is_some_and(|member| member.paths.is_newest(number)) {
            self.do_this(Effect::AddCandidate { peer: from, candidate, mid });
        }
    }

    /// A member hears nothing of us, or is somewhere else now.
    pub(super) fn hear_reconnect(&mut self, now: Instant, from: TransportId) {
        let offers = self.offers_to(from);
        if self.member_mut(from).is_some_and(|member| member.paths.asked(now)) && offers {
            self.offer(now, from, false);
        }
        self.tick_paths(now, from);
    }

    /// A candidate was found after the description.
    pub(super) fn found_candidate(&mut self, now: Instant, id: TransportId, candidate: String, mid: String) {
        let Some(member) = self.member_mut(id) else { return };
        let number = member.paths.number();
        self.tell(now, id, &Signal::Candidate { candidate, mid, number });
    }

    pub(super) fn media_up(&mut self, now: Instant, id: TransportId, route: Route, setup_ms: u64) {
        let Some(member) = self.member_mut(id) else { return };
        let silent = member.paths.route().is_none();
        member.paths.own_up(now, route);
        let old_key = !member.withheld && now.saturating_duration_since(member.our_key_at) > KEY_STAYS_NEW;
        if silent && old_key {
            self.sender_keys.welcome(id);
        }
        self.tell_route(id, route, setup_ms);
        self.tick_paths(now, id);
    }

    pub(super) fn media_down(&mut self, now: Instant, id: TransportId, reason: String) {
        let Some(member) = self.member_mut(id) else { return };
        member.paths.own_down();
        let silent = member.last_sound.map(|heard| now.saturating_duration_since(heard));
        if silent.is_some_and(|silent| silent >= BROKEN_AFTER) {
            self.lose(now, id, reason);
        }
        self.tick_paths(now, id);
    }

    /// Packets can be sent to a member by the stream, or no more.
    pub(super) fn stream_changed(&mut self, now: Instant, id: TransportId, route: Option<Route>) {
        let Some(member) = self.member_mut(id) else { return };
        match route {
            Some(route) => member.paths.stream_up(now, route),
            None => member.paths.stream_down(),
        }
    }

    /// If our own addresses have changed since the last time, everyone hears of it by another connection.
    pub(super) fn tick_addresses(&mut self, now: Instant) {
        if !std::mem::take(&mut self.moved) {
            return;
        }
        let roster = Signal::Roster(self.roster());
        for id in self.member_ids() {
            if let Some(member) = self.member_mut(id) {
                member.paths.moved(now);
            }
            self.tell(now, id, &roster);
        }
    }

    /// The signalling to a member stands again, or another server could help: what waits need not wait.
    pub(super) fn renewed(&mut self, now: Instant, id: TransportId) {
        if let Some(member) = self.member_mut(id) {
            member.paths.renewed(now);
        }
        self.tick_paths(now, id);
    }

    /// What the ears and the microphone noticed.
    pub(super) fn audio_report(&mut self, now: Instant, report: AudioReport) {
        if report.speaking != self.audio.speaking {
            self.notice(Notice::Speaking { peer: "me".to_owned(), on: report.speaking });
        }
        for lane in &report.lanes {
            let Some(member) = self.member_mut(lane.peer) else { continue };
            let heard_again = lane.last_opened > member.lost_since;
            member.last_sound = member.last_sound.max(lane.last_opened);
            let changed = member.speaking != lane.speaking;
            member.speaking = lane.speaking;
            let lost = member.lost_since.is_some();
            let before = member.lane.replace(*lane);
            let (bytes, streamed) = before.map_or((0, 0), |before| (before.bytes, before.streamed_bytes));
            let by_stream = lane.streamed_bytes > streamed;
            let by_own = lane.bytes.saturating_sub(lane.streamed_bytes) > bytes.saturating_sub(streamed);
            if let Some(listened) = report.listened {
                member.paths.listened(listened, by_own, by_stream);
            }
            if changed {
                self.notice(Notice::Speaking { peer: lane.peer.short(), on: lane.speaking });
            }
            if lost && heard_again {
                self.restore(now, lane.peer);
            }
        }
        self.audio = report;
    }

    /// Nothing was heard of a member for so long that it is lost; true if it is.
    pub(super) fn miss(&mut self, now: Instant, id: TransportId) -> bool {
        let Some(member) = self.member_mut(id) else { return false };
        let silent = now.saturating_duration_since(member.last_sound.unwrap_or(member.last_signal));
        let unheard = silent.min(now.saturating_duration_since(member.last_signal));
        let no_sound = member.lost_since.is_none() && member.last_sound.is_some() && silent >= LOST_AFTER;
        let lost = no_sound || unheard >= LOST_AFTER && !member.withheld;
        if lost {
            self.lose(now, id, "silence".to_owned());
        }
        lost
    }

    /// Nothing comes from a member any more: it keeps its seat, but gets no more keys until it shows a sign of life.
    fn lose(&mut self, now: Instant, id: TransportId, reason: String) {
        let Some(member) = self.member_mut(id) else { return };
        if member.lost_since.is_some() && member.withheld {
            return;
        }
        let heard = member.last_sound.unwrap_or(member.last_signal);
        let after_ms = now.saturating_duration_since(heard).as_millis() as u64;
        let known = member.lost_since.is_some();
        member.lost_since.get_or_insert(now);
        member.withheld = true;
        if !known {
            self.notice(Notice::MediaLost { peer: id.short(), reason, after_ms });
        }
        self.sender_keys.forget(id);
        self.rotate_sender_key(now, RekeyReason::Leave);
    }

    /// Sound comes from a lost member again.
    fn restore(&mut self, now: Instant, id: TransportId) {
        let Some(member) = self.member_mut(id) else { return };
        let Some(since) = member.lost_since.take() else { return };
        member.withheld = false;
        let after_ms = now.saturating_duration_since(since).as_millis() as u64;
        let name = member.name.clone();
        self.talk(now, None, format!("{name} is back"));
        self.notice(Notice::MediaRestored { peer: id.short(), reason: "heard again".to_owned(), after_ms });
        self.sender_keys.welcome(id);
    }
}
