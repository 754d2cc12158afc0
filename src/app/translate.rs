//! One room's words in another's: rooms never name one another, so what they say passes through here.

use crate::session::effect::{AudioEffect, Effect};
use crate::session::event::{AudioReport, Description, Event, LaneReport, Recording, Undelivered};
use crate::session::latency::Queues;
use crate::session::path::{Route, Way};
use crate::session::protection::{Degree, Given};
use crate::{audio, network, ui};
use resonance_protocol::peer::{Address, Transport};
use std::net::IpAddr;

/// An address as libp2p writes it.
pub fn multiaddr(address: &Address) -> String {
    let ip = match address.ip {
        IpAddr::V4(ip) => format!("/ip4/{ip}"),
        IpAddr::V6(ip) => format!("/ip6/{ip}"),
    };
    match address.transport {
        Transport::Tcp => format!("{ip}/tcp/{}", address.port),
        Transport::Quic => format!("{ip}/udp/{}/quic-v1", address.port),
    }
}

/// What the network noticed, for the session; `None` for what only a face wants to know.
pub fn network_event(event: network::Event) -> Option<Event> {
    use network::Event as Net;
    Some(match event {
        Net::Listening { compact, .. } => Event::Listening(compact?),
        Net::Reached { compact, .. } => Event::Reached(compact),
        Net::Discovered { peer, via } => {
            let via = match via {
                network::Via::Mdns => "mdns",
                network::Via::Dht => "dht",
            };
            Event::Discovered { peer, via }
        }
        Net::DiscoveryFailed { reason } => Event::DiscoveryFailed(reason),
        Net::Connected { peer, remote } => Event::Connected { peer, remote },
        Net::Disconnected { peer } => Event::Disconnected(peer),
        Net::DialFailed { peer, .. } => Event::DialFailed(peer),
        Net::Message { from, bytes, receipt } => Event::Message { from, bytes, receipt },
        Net::Delivered { to, id } => Event::Delivered { to, id },
        Net::Undelivered { to, id, why } => {
            let why = match why {
                network::Undelivered::Unsupported => Undelivered::Unsupported,
                network::Undelivered::Refused => Undelivered::Refused,
                network::Undelivered::Unreachable | network::Undelivered::TooLarge | network::Undelivered::Busy => {
                    Undelivered::Unreachable
                }
            };
            Event::Undelivered { to, id, why }
        }
        Net::ForeignVersion { peer } => Event::ForeignVersion(peer),
        Net::LocalDescription { peer, kind, sdp, number } => {
            let kind = match kind {
                network::DescriptionKind::Offer => Description::Offer,
                network::DescriptionKind::Answer => Description::Answer,
            };
            Event::Description { peer, kind, sdp, number }
        }
        Net::LocalCandidate { peer, candidate, mid } => Event::Candidate { peer, candidate, mid },
        Net::MediaUp { peer, route, setup_ms } => Event::MediaUp { peer, route: self::route(route), setup_ms },
        Net::StreamUp { peer, route } => Event::StreamUp { peer, route: self::route(route) },
        Net::StreamDown { peer } => Event::StreamDown(peer),
        Net::Renewed { peer } => Event::Renewed(peer),
        Net::NotListening { compact } => Event::NotListening(compact),
        Net::ServersKnown => Event::ServersKnown,
        Net::MediaDown { peer, reason } => Event::MediaDown { peer, reason },
        Net::MediaRtt { peer, rtt_ms } => Event::MediaRtt { peer, rtt_ms },
    })
}

fn route(route: network::Route) -> Route {
    let network::Route { way, local, remote } = route;
    let way = match way {
        network::Way::Direct => Way::Direct,
        network::Way::Relayed => Way::Relayed,
        network::Way::Member => Way::Member,
    };
    Route { way, local, remote }
}

/// What the audio room noticed, for the session.
pub fn audio_event(event: audio::Event) -> Event {
    match event {
        audio::Event::Warning { code, message, hint } => Event::AudioProblem { code, message, hint },
        audio::Event::Recorded { problem } => Event::Recording(Recording::Ended { problem }),
        audio::Event::Devices { input, output } => Event::Devices { input, output },
        audio::Event::Report(report) => Event::Audio(AudioReport {
            input_level_db: report.input_level_db,
            output_level_db: report.output_level_db,
            speaking: report.speaking,
            xruns: report.xruns,
            cpu_percent: report.cpu_percent,
            voice_engine: report.voice_engine,
            spatial_engine: report.spatial_engine,
            reduced: report.reduced,
            delays: report.delays,
            queues: queues(report.depths),
            bytes_sent: report.bytes_sent,
            codec_bits: report.codec_bits,
            listened: report.listened,
            lanes: report
                .lanes
                .iter()
                .map(|lane| LaneReport {
                    peer: lane.peer,
                    level_db: lane.level_db,
                    speaking: lane.speaking,
                    received: lane.received,
                    lost: lane.lost,
                    gaps: lane.gaps,
                    repaired: lane.repaired,
                    concealed: lane.concealed_frames,
                    refused: lane.refused,
                    jitter_ms: lane.jitter_ms,
                    buffer_ms: lane.buffer_ms,
                    queue_ms: lane.queue_ms,
                    bytes: lane.bytes,
                    streamed_bytes: lane.streamed_bytes,
                    last_opened: lane.last_opened,
                })
                .collect(),
        }),
    }
}

fn queues(depths: audio::Depths) -> Queues {
    let packets = |depth: audio::Depth| [depth.least, depth.most];
    Queues {
        microphone_ms: depths.microphone.ms(),
        voice_ms: depths.voice.ms(),
        speaker_ms: depths.speaker.ms(),
        outbound: packets(depths.outbound),
        inbound: packets(depths.inbound),
    }
}

/// What the session wants of the network; gives back what is for somebody else.
pub fn network_command(effect: Effect) -> Result<network::Command, Effect> {
    use network::Command;
    Ok(match effect {
        Effect::Dial { peer, addresses } => Command::Dial { peer, addresses },
        Effect::Send { to, bytes, id } => Command::Send { to, bytes, id },
        Effect::Acknowledge(receipt) => Command::Acknowledge { receipt },
        Effect::Refuse(receipt) => Command::Refuse { receipt },
        Effect::Disconnect(peer) => Command::Disconnect { peer },
        Effect::Meet { own, keys, seeking } => {
            let haste = if seeking { network::Haste::Seek } else { network::Haste::Wait };
            Command::Meet { own, keys, haste }
        }
        Effect::Renew { peer, addresses } => Command::Renew { peer, addresses },
        Effect::OpenMedia { peer, number, patient } => Command::OpenMedia { peer, number, patient },
        Effect::AcceptOffer { peer, sdp, number } => Command::AcceptOffer { peer, sdp, number },
        Effect::AcceptAnswer { peer, sdp } => Command::AcceptAnswer { peer, sdp },
        Effect::AddCandidate { peer, candidate, mid } => Command::AddCandidate { peer, candidate, mid },
        Effect::Stream { peer, on } => Command::Stream { peer, on },
        Effect::CloseMedia(peer) => Command::CloseMedia { peer },
        other @ (Effect::Audio(_) | Effect::KeepContacts(_) | Effect::Notice(_) | Effect::Ended(_)) => {
            return Err(other);
        }
    })
}

/// What the session wants of the audio workers; gives back a change of devices, and what concerns recordings.
pub fn audio_control(effect: AudioEffect) -> Result<audio::Control, AudioEffect> {
    use audio::Control;
    Ok(match effect {
        AudioEffect::SenderKey(sealer) => Control::SenderKey(sealer),
        AudioEffect::Step(id) => Control::Step(id),
        AudioEffect::Name { peer, name } => Control::Name { peer, name },
        AudioEffect::AddLane(peer) => Control::AddLane { peer },
        AudioEffect::OpeningKey { peer, key } => Control::OpeningKey { peer, key },
        AudioEffect::HopSealer { peer, hop } => Control::HopSealer { peer, hop },
        AudioEffect::HopOpener { peer, hop } => Control::HopOpener { peer, hop },
        AudioEffect::Stream { peer, on } => Control::Stream { peer, on },
        AudioEffect::RemoveLane(peer) => Control::RemoveLane { peer },
        AudioEffect::Place { peer, position } => Control::Place { peer, position },
        AudioEffect::Face(deg) => Control::Face { deg },
        AudioEffect::Volume { peer, db } => Control::Volume { peer, db },
        AudioEffect::Give(given) => supply(given),
        AudioEffect::Mute(on) => Control::Mute(on),
        AudioEffect::Deafen(on) => Control::Deafen(on),
        other @ (AudioEffect::Input(_)
        | AudioEffect::Output(_)
        | AudioEffect::Record(_)
        | AudioEffect::StopRecording
        | AudioEffect::Voice(_)
        | AudioEffect::Space(_)) => return Err(other),
    })
}

fn supply(given: Given) -> audio::Control {
    let protection = match given.degree {
        Degree::None => audio::Protection::None,
        Degree::Light => audio::Protection::Light,
        Degree::Medium => audio::Protection::Medium,
        Degree::Heavy => audio::Protection::Heavy,
    };
    audio::Control::Supply(given.rate, protection)
}

/// What the screen wants to be heard.
pub fn cue(cue: ui::Cue) -> audio::Cue {
    match cue {
        ui::Cue::Joined => audio::Cue::Joined,
        ui::Cue::Left => audio::Cue::Left,
        ui::Cue::Lost => audio::Cue::Lost,
        ui::Cue::Back => audio::Cue::Back,
        ui::Cue::Knock => audio::Cue::Knock,
    }
}
