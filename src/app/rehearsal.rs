//! Hearing oneself before there is a session: the whole way of a word through this side's pipeline (cleaned, coded, sealed, opened, played
//! out evenly, decoded, placed, mixed), with a second of delay in place of the network.

use crate::audio::{self, Control, Event, InputChoice, OutputChoice, Report, VoiceMode};
use rand::rngs::{StdRng, SysRng};
use rand::{Rng, SeedableRng};
use resonance_protocol::identity::{Fingerprint, IdentityKey};
use resonance_protocol::link::SessionId;
use resonance_protocol::media::{InboundPacket, SealedPacket, SenderKey};
use resonance_protocol::peer::TransportId;
use resonance_protocol::position::Position;
use rtrb::{Consumer, Producer};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How much later one hears oneself: late enough to tell it from one's voice in the head.
const DELAY: Duration = Duration::from_secs(1);
/// A key lives about so long here: receivers erase each seven seconds after its first use.
const KEY_LIFE: Duration = Duration::from_secs(4);
/// How far the voice walks around the head in a second.
const WALK_DEG: f32 = 45.0;

/// One pipeline that hears itself.
pub struct Rehearsal {
    // Dropped first: the mirror outlives what it carries between.
    engine: audio::Engine,
    mirror: Mirror,
    rng: StdRng,
    session: SessionId,
    sender: Fingerprint,
    me: TransportId,
    key: (u64, Instant),
    began: Instant,
}

impl Rehearsal {
    /// Opens the devices. To be called where waiting does no harm.
    ///
    /// # Errors
    /// A file that was named cannot be used, or the machine is out of something.
    pub fn start(config: audio::Config) -> Result<Self, String> {
        let mut rng = StdRng::try_from_rng(&mut SysRng).map_err(|error| format!("no randomness: {error}"))?;
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        let me = TransportId::from_bytes(bytes);
        let sender = IdentityKey::generate(&mut rng).public().fingerprint();
        let session = SessionId::from_bytes([0; 16]);
        let (outbound, sealed) = audio::rings::outbound();
        let (mirrored, inbound) = audio::rings::inbound();
        let mirror = Mirror::start(sealed, mirrored, me).map_err(|error| format!("no thread: {error}"))?;
        // Nothing goes by a stream here.
        let ((outbound_streamed, _), (_, inbound_streamed)) =
            (audio::rings::outbound_streamed(), audio::rings::inbound());
        let outbound_thread = mirror.thread();
        let ends = audio::MediaEnds { outbound, outbound_thread, outbound_streamed, inbound, inbound_streamed };
        let mut engine = audio::Engine::start(config, ends).map_err(|error| error.to_string())?;
        engine.control(Control::AddLane { peer: me });
        engine.control(Control::Deafen(true));
        let now = Instant::now();
        let mut rehearsal = Self { engine, mirror, rng, session, sender, me, key: (0, now), began: now };
        rehearsal.rekey(now);
        Ok(rehearsal)
    }

    /// Lets one hear oneself, or not.
    pub fn hear(&mut self, on: bool) {
        self.engine.control(Control::Deafen(!on));
    }

    /// Takes sound from somewhere else.
    pub fn set_input(&mut self, choice: InputChoice) -> Result<(), String> {
        self.engine.set_input(choice).map_err(|error| error.to_string())
    }

    /// Brings sound somewhere else.
    pub fn set_output(&mut self, choice: OutputChoice) -> Result<(), String> {
        self.engine.set_output(choice).map_err(|error| error.to_string())
    }

    /// Processes the voice otherwise.
    pub fn set_voice(&mut self, voice: VoiceMode) -> Result<(), String> {
        self.engine.set_voice(voice).map_err(|error| error.to_string())
    }

    /// Processes it by something else.
    pub fn set_voice_engine(&mut self, engine: audio::VoiceEngine) -> Result<(), String> {
        self.engine.set_voice_engine(engine).map_err(|error| error.to_string())
    }

    /// Places the voice with something else.
    pub fn set_space(&mut self, before: &audio::SpaceChoice, now: &audio::SpaceChoice) {
        super::space::settings(&mut self.engine, before, now);
    }

    /// To be called about twenty times a second: the newest report, and what a person should know.
    pub fn poll(&mut self, now: Instant) -> (Option<Report>, Vec<(String, String)>) {
        if now.saturating_duration_since(self.key.1) >= KEY_LIFE {
            self.rekey(now);
        }
        let azimuth_deg = self.began.elapsed().as_secs_f32() * WALK_DEG;
        let position = Position::at_azimuth(azimuth_deg.rem_euclid(360.0)).normalised();
        self.engine.control(Control::Place { peer: self.me, position });
        let (mut newest, mut warnings) = (None, Vec::new());
        while let Some(event) = self.engine.poll_event() {
            match event {
                Event::Report(report) => newest = Some(report),
                Event::Warning { message, hint, .. } => warnings.push((message, hint)),
                Event::Devices { .. } | Event::Recorded { .. } => {}
            }
        }
        (newest, warnings)
    }

    /// Stops sound; to be called where waiting does no harm.
    pub fn stop(self) {
        let Self { engine, mirror, .. } = self;
        engine.stop();
        drop(mirror);
    }

    fn rekey(&mut self, now: Instant) {
        let key = SenderKey::generate(self.key.0, &mut self.rng);
        let opening = Box::new(key.opening_key(&self.session, &self.sender));
        self.engine.control(Control::OpeningKey { peer: self.me, key: opening });
        self.engine.control(Control::SenderKey(Box::new(key.sealer(&self.session, &self.sender))));
        self.key = (self.key.0 + 1, now);
    }
}

/// A rehearsal that comes and goes as it is wanted, without making anybody wait for devices.
#[derive(Default)]
pub struct Stage {
    state: State,
    /// What could not be opened: it is not tried again and again.
    refused: Option<audio::Config>,
}

#[derive(Default)]
enum State {
    #[default]
    Empty,
    Opening(audio::Config, tokio::task::JoinHandle<Result<Rehearsal, String>>),
    Open(Box<Rehearsal>),
    Closing(tokio::task::JoinHandle<()>),
}

/// What came of it.
#[derive(Default)]
pub struct Told {
    /// The newest one.
    pub report: Option<Report>,
    /// What a person should know, and what to do.
    pub warnings: Vec<(String, String)>,
}

impl Stage {
    /// To be called about twenty times a second; `wanted` says whether one wants to hear oneself, `None` that the devices are free.
    pub async fn poll(&mut self, wanted: Option<bool>, config: &audio::Config) -> Told {
        let mut told = Told::default();
        self.state = match (std::mem::take(&mut self.state), wanted) {
            (State::Empty, Some(_)) if self.refused.as_ref() != Some(config) => {
                let opened = config.clone();
                let opening = tokio::task::spawn_blocking(move || Rehearsal::start(opened));
                State::Opening(config.clone(), opening)
            }
            (State::Opening(config, opening), _) if opening.is_finished() => match opening.await {
                Ok(Ok(rehearsal)) => State::Open(Box::new(rehearsal)),
                Ok(Err(why)) => {
                    told.warnings.push((why, String::new()));
                    self.refused = Some(config);
                    State::Empty
                }
                Err(_) => State::Empty,
            },
            (State::Open(mut rehearsal), Some(hear)) => {
                rehearsal.hear(hear);
                (told.report, told.warnings) = rehearsal.poll(Instant::now());
                State::Open(rehearsal)
            }
            (State::Open(rehearsal), None) => State::Closing(tokio::task::spawn_blocking(move || rehearsal.stop())),
            (State::Closing(closing), _) if closing.is_finished() => State::Empty,
            (other, _) => other,
        };
        if wanted.is_none() {
            self.refused = None;
        }
        told
    }

    /// The rehearsal, while there is one.
    pub fn open(&mut self) -> Option<&mut Rehearsal> {
        match &mut self.state {
            State::Open(rehearsal) => Some(rehearsal),
            State::Empty | State::Opening(..) | State::Closing(_) => None,
        }
    }

    /// Waits until the devices are free.
    pub async fn clear(&mut self) {
        let open = match std::mem::take(&mut self.state) {
            State::Empty => None,
            State::Opening(_, opening) => opening.await.ok().and_then(Result::ok),
            State::Open(rehearsal) => Some(*rehearsal),
            State::Closing(closing) => {
                let _ = closing.await;
                None
            }
        };
        if let Some(rehearsal) = open {
            let _ = tokio::task::spawn_blocking(move || rehearsal.stop()).await;
        }
    }
}

/// What stands for the network: a thread that gives each packet back a second later.
struct Mirror {
    thread: Option<JoinHandle<()>>,
    over: Arc<AtomicBool>,
}

impl Mirror {
    fn start(
        sealed: Consumer<SealedPacket>,
        mirrored: Producer<InboundPacket>,
        me: TransportId,
    ) -> std::io::Result<Self> {
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&over);
        let thread =
            thread::Builder::new().name("mirror".into()).spawn(move || reflect(sealed, mirrored, me, &told))?;
        Ok(Self { thread: Some(thread), over })
    }

    fn thread(&self) -> thread::Thread {
        self.thread.as_ref().map_or_else(thread::current, |thread| thread.thread().clone())
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

fn reflect(
    mut sealed: Consumer<SealedPacket>,
    mut mirrored: Producer<InboundPacket>,
    from: TransportId,
    over: &AtomicBool,
) {
    let mut under_way: VecDeque<(Instant, SealedPacket)> = VecDeque::new();
    while !over.load(Ordering::Acquire) {
        while let Ok(packet) = sealed.pop() {
            under_way.push_back((Instant::now() + DELAY, packet));
        }
        let now = Instant::now();
        while let Some((_, packet)) = under_way.pop_front_if(|(due, _)| *due <= now) {
            // Nobody listens when this is full, and then there is nothing to miss.
            let _ = mirrored.push(InboundPacket { from, arrived: now, packet });
        }
        match under_way.front() {
            Some((due, _)) => thread::park_timeout(due.saturating_duration_since(Instant::now())),
            None => thread::park(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tone goes in at the microphone and comes out at the ears, from one side to the other, keys renewed on the way.
    #[test]
    fn one_hears_oneself_through_the_whole_pipeline() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let heard = folder.path().join("heard.wav");
        let config = audio::Config {
            input: InputChoice::Tone { hz: 440.0 },
            output: OutputChoice::Wav(heard.clone()),
            voice: VoiceMode::Off,
            voice_engine: audio::VoiceEngine::default(),
            pauses: audio::Pauses::Sent,
            packet: audio::format::PacketTime::default(),
            space: audio::SpaceChoice::default(),
        };
        let mut rehearsal = Rehearsal::start(config)?;
        rehearsal.hear(true);
        let until = Instant::now() + Duration::from_secs(7);
        let mut loudest = f32::NEG_INFINITY;
        while Instant::now() < until {
            let (report, warnings) = rehearsal.poll(Instant::now());
            assert_eq!(warnings, [], "no device is asked for");
            loudest = report.map_or(loudest, |report| loudest.max(report.input_level_db));
            thread::sleep(Duration::from_millis(50));
        }
        rehearsal.stop();
        assert!(loudest > -20.0, "the meter moves: {loudest} dB");
        let mut file = hound::WavReader::open(heard)?;
        let rate = file.spec().sample_rate as usize;
        let samples = match file.spec().sample_format {
            hound::SampleFormat::Float => file.samples::<f32>().collect::<Result<Vec<_>, _>>()?,
            hound::SampleFormat::Int => {
                let full = (1_i64 << (file.spec().bits_per_sample - 1)) as f32;
                file.samples::<i32>()
                    .map(|sample| sample.map(|sample| sample as f32 / full))
                    .collect::<Result<_, _>>()?
            }
        };
        let power = |from: usize, to: usize, ear: usize| {
            let part = samples.get(2 * from * rate / 10..2 * to * rate / 10).unwrap_or(&[]);
            part.iter().skip(ear).step_by(2).map(|sample| sample * sample).sum::<f32>() / part.len().max(1) as f32
        };
        assert!(power(0, 8, 0) < 1.0e-6, "nothing before the second is over");
        // After two seconds it has walked to the right; after six it is at the left, and the second key is in use.
        assert!(power(18, 24, 1) > 2.0 * power(18, 24, 0), "right: {} {}", power(18, 24, 0), power(18, 24, 1));
        assert!(power(56, 62, 0) > 2.0 * power(56, 62, 1), "left: {} {}", power(56, 62, 0), power(56, 62, 1));
        Ok(())
    }
}
