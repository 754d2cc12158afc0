//! What the person asks for.

use super::effect::AudioEffect;
use super::notice::Notice;
use super::view::Trust;
use super::{Entry, NO_INPUT, NO_OUTPUT, Session, pose, text};
use crate::command::{Arrangement, Command};
use rand::CryptoRng;
use resonance_protocol::link::Link;
use resonance_protocol::peer::TransportId;
use resonance_protocol::position::Position;
use std::time::Instant;

impl<R: CryptoRng> Session<R> {
    pub(super) fn command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Mute => self.set_state(now, true, self.deafened),
            Command::Unmute => self.set_state(now, false, self.deafened),
            Command::Deafen => self.set_state(now, self.muted, true),
            Command::Undeafen => self.set_state(now, self.muted, false),
            Command::Say(body) => self.say(now, &body),
            Command::Move { peer, azimuth_deg, distance_m, elevation_deg } => {
                let Some(id) = self.resolve(&peer) else { return };
                let Some(member) = self.member_mut(id) else { return };
                let position = Position {
                    azimuth_deg,
                    distance_m: distance_m.unwrap_or(member.position.distance_m),
                    elevation_deg: elevation_deg.unwrap_or(member.position.elevation_deg),
                }
                .normalised();
                member.position = position;
                self.audio(AudioEffect::Place { peer: id, position });
            }
            Command::Arrange(arrangement) => self.arrange(arrangement),
            Command::Face(deg) => {
                self.facing_deg = deg.rem_euclid(360.0);
                self.audio(AudioEffect::Face(self.facing_deg));
            }
            Command::Volume { peer, db } => {
                let Some(id) = self.resolve(&peer) else { return };
                if let Some(member) = self.member_mut(id) {
                    member.volume_db = db;
                }
                self.audio(AudioEffect::Volume { peer: id, db });
            }
            Command::Verify(peer) => self.set_trust(now, &peer, Trust::Verified),
            Command::Unverify(peer) => self.set_trust(now, &peer, Trust::NotVerified),
            Command::Dismiss => self.dismiss(now),
            Command::Safety(peer) => self.tell_safety(peer.as_deref()),
            Command::Input(choice) => {
                // Whoever asks for what took its place misses nothing.
                if choice == self.devices.0 {
                    self.missing.remove(NO_INPUT);
                }
                self.audio(AudioEffect::Input(choice));
            }
            Command::Output(choice) => {
                if choice == self.devices.1 {
                    self.missing.remove(NO_OUTPUT);
                }
                self.audio(AudioEffect::Output(choice));
            }
            Command::Record(folder) => self.record(folder),
            Command::StopRecording => self.stop_recording(),
            Command::Voice(mode) => self.audio(AudioEffect::Voice(mode)),
            Command::Space(space) => self.audio(AudioEffect::Space(space)),
            Command::Stats => {
                let sent = self.sent();
                let stats: Vec<_> = self
                    .members()
                    .filter_map(|(id, member)| super::upkeep::current(id, member, &self.audio.delays, sent))
                    .collect();
                for stats in stats {
                    self.notice(Notice::Stats(Box::new(stats)));
                }
                self.notice_audio();
            }
            Command::Link => {
                let link = self.link().map(Link::to_text);
                self.notice(Notice::Link { link });
            }
            Command::Lock => self.lock(now),
            Command::Unlock => self.unlock(now),
            Command::Admit(peer) => self.admit_by_name(now, &peer),
            Command::Refuse(peer) => self.refuse_by_name(now, &peer),
            Command::Kick(peer) => self.kick(now, &peer),
            Command::Handover(peer) => self.hand_over(now, &peer),
            Command::Quit => self.leave(now),
        }
    }

    pub(super) fn link(&self) -> Option<&Link> {
        match &self.entry {
            Entry::Create { link, .. } | Entry::Join(link) => Some(link),
            Entry::Lan(_) => None,
        }
    }

    fn arrange(&mut self, arrangement: Arrangement) {
        let mut sitting: Vec<_> = self.members().map(|(id, member)| (member.seat, id)).collect();
        sitting.sort_unstable();
        let count = sitting.len();
        for (place, (seat, id)) in sitting.into_iter().enumerate() {
            let position = match arrangement {
                Arrangement::Arc => pose::seat_position(seat),
                Arrangement::Table => pose::at_table(place, count),
                Arrangement::Stage => pose::on_stage(place, count),
            };
            if let Some(member) = self.member_mut(id) {
                member.position = position;
            }
            self.audio(AudioEffect::Place { peer: id, position });
        }
    }

    fn set_state(&mut self, now: Instant, muted: bool, deafened: bool) {
        if muted != self.muted {
            self.audio(AudioEffect::Mute(muted));
        }
        if deafened != self.deafened {
            self.audio(AudioEffect::Deafen(deafened));
        }
        (self.muted, self.deafened) = (muted, deafened);
        self.tell_state(now);
    }

    pub(super) fn tell_safety(&mut self, peer: Option<&str>) {
        let ids = match peer {
            Some(peer) => self.resolve(peer).into_iter().collect(),
            None => {
                self.tell_session_number();
                self.member_ids()
            }
        };
        for id in ids {
            let Some(member) = self.member_mut(id) else { continue };
            let (number, verified) = (member.safety_number.clone(), member.trust == Trust::Verified);
            self.notice(Notice::SafetyNumber { peer: id.short(), number, verified });
        }
    }

    /// Finds the member who is meant by an id or an unambiguous name; says so when nobody or several are.
    pub(super) fn resolve(&mut self, peer: &str) -> Option<TransportId> {
        let here = self.members().map(|(id, member)| (id, member.name.clone())).collect();
        self.resolve_among(peer, here, "You are alone in this session.")
    }

    /// The same among others; `nobody` is said when there are none.
    pub(super) fn resolve_among(
        &mut self,
        peer: &str,
        here: Vec<(TransportId, String)>,
        nobody: &str,
    ) -> Option<TransportId> {
        if let Some((id, _)) = here.iter().find(|(id, _)| id.short() == peer) {
            return Some(*id);
        }
        let lower = peer.to_lowercase();
        let exact = |name: &str| name.to_lowercase() == lower;
        let starts = |name: &str| name.to_lowercase().starts_with(&lower);
        let mut found: Vec<_> = here.iter().filter(|(_, name)| exact(name)).map(|(id, _)| *id).collect();
        if found.is_empty() {
            found = here.iter().filter(|(_, name)| starts(name)).map(|(id, _)| *id).collect();
        }
        if let [id] = found[..] {
            return Some(id);
        }
        let shown = text::name(peer, "?");
        let (code, message) = match found.len() {
            0 => ("unknown_peer", format!("There is nobody called `{shown}` here.")),
            several => ("ambiguous_peer", format!("{several} people match `{shown}`.")),
        };
        let names: Vec<_> = here.into_iter().map(|(_, name)| name).collect();
        let hint = match names.is_empty() {
            true => nobody.to_owned(),
            false => format!("Here are: {}.", names.join(", ")),
        };
        self.notice(Notice::Error { code, message, hint });
        None
    }
}
