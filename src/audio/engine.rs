//! The pipeline alive: two worker threads, an input and an output card, and what to do when a card fails.

use super::capture::MicReader;
use super::choice::{InputChoice, OutputChoice, VoiceMode};
use super::delay::Depths;
use super::desk::{Desk, PipelineEnds, Spectra};
use super::device::sink::{Sink, TapSender};
use super::device::source::Source;
use super::device::{Card, Wanted, card, virtual_card};
use super::economy::Agreement;
use super::format::{FRAME, PacketTime, milliseconds};
use super::pauses::Pauses;
use super::playback::SpeakerWriter;
use super::record::{self, Recorder};
use super::spatial::choice::{Ears, HrtfChoice, SpaceChoice};
use super::voice::{Voice, VoiceEngine, VoiceStage};
use super::workers::{self, Worker};
use super::{Config, Control, Event, MediaEnds, RecordError, StartError, SwitchError, rings};
use crate::latency::Delays;
use rtrb::{Consumer, Producer};
use std::collections::VecDeque;
use std::path::Path;
use std::time::Instant;

/// Events that nobody fetched; beyond it the oldest go.
const MAX_EVENTS: usize = 64;

/// What is told where there is no device.
const NOTHING: &str = "none";

/// Sound, from start to stop. Dropping it stops it as [`stop`](Self::stop) does.
pub struct Engine {
    // Dropped in this order: the cards stop first and finish their files, then the workers, then what they handed back, then a recording,
    // which has everything then.
    input: Option<Box<dyn Card>>,
    stage: Option<VoiceStage>,
    /// What the speaker plays, while no voice is processed that wants to know.
    reference: Option<Consumer<f32>>,
    output: Option<Box<dyn Card>>,
    uplink: Worker,
    downlink: Worker,
    mics: Producer<MicReader>,
    speakers: Producer<SpeakerWriter>,
    desk: Desk,
    /// What is left out while the machine is too slow.
    agreement: Agreement,
    recorder: Option<Recorder>,
    voice: VoiceMode,
    voice_engine: VoiceEngine,
    packet: PacketTime,
    space: SpaceChoice,
    /// The head in use.
    head: HrtfChoice,
    loading: Option<space::Loading>,
    /// What was last opened, to be opened again when the voice is to be processed otherwise.
    chosen: InputChoice,
    /// The devices that were told of, and what the output's was listened with.
    told: (String, String, Option<Ears>),
    /// Interruptions reported by cards that are no longer open.
    past_xruns: u64,
    events: VecDeque<Event>,
}

impl Engine {
    /// Starts sound. A device that is missing or does not work is not an error: silence or nowhere takes its place, and an
    /// [`Event::Warning`] says so.
    ///
    /// # Errors
    /// A file that was named cannot be used, or the machine is out of threads or memory.
    pub fn start(config: Config, media: MediaEnds) -> Result<Self, StartError> {
        let source = Source::open(&config.input)?;
        let sink = Sink::create(&config.output)?;
        let ends = PipelineEnds {
            outbound: media.outbound,
            outbound_thread: Some(media.outbound_thread),
            outbound_streamed: media.outbound_streamed,
            inbound: media.inbound,
            inbound_streamed: media.inbound_streamed,
        };
        let (head, head_choice, head_refused) = space::first(&config.space.hrtf)?;
        let (desk, uplink, downlink) = Desk::new(head, ends, config.packet)?;
        let (mics, next_mic) = rings::mics();
        let (speakers, next_speaker) = rings::speakers();
        let agreement = Agreement::default();
        let mut engine = Self {
            input: None,
            stage: None,
            reference: None,
            output: None,
            uplink: workers::uplink(uplink, next_mic, agreement.clone())?,
            downlink: workers::downlink(downlink, next_speaker, agreement.clone())?,
            mics,
            speakers,
            desk,
            agreement,
            recorder: None,
            voice: config.voice,
            voice_engine: config.voice_engine,
            packet: config.packet,
            space: SpaceChoice { hrtf: head_choice.clone(), ..config.space },
            head: head_choice,
            loading: None,
            chosen: config.input.clone(),
            told: Default::default(),
            past_xruns: 0,
            events: head_refused.into_iter().collect(),
        };
        if let Err(error) = engine.open_output(&config.output, sink) {
            engine.fall_back_to_nowhere(&error.to_string());
        }
        if let Err(error) = engine.open_input(&config.input, source) {
            engine.fall_back_to_silence(&error.to_string());
        }
        engine.tell_devices();
        engine.set_pauses(config.pauses);
        Ok(engine)
    }

    /// Sends silence, or next to nothing instead of it, of which a person is warned.
    pub fn set_pauses(&mut self, pauses: Pauses) {
        self.control(Control::Pauses(pauses));
        if pauses == Pauses::Spared {
            let message =
                "While you are silent next to nothing is sent, so whoever watches the network sees when you speak.";
            self.warn(
                "dtx",
                message.into(),
                "It saves little; leave it off (dtx in the settings' file) unless you need that.",
            );
        }
    }

    /// Passes a wish on; never blocks. What cannot be done becomes an [`Event::Warning`].
    pub fn control(&mut self, control: Control) {
        if let Err(error) = self.desk.control(control, Instant::now()) {
            self.warn("no-lane", format!("Somebody cannot be heard: {error}."), "Let somebody leave first.");
        }
    }

    /// What those who are looked at sound like; see [`Control::Watch`].
    pub fn spectra(&mut self) -> Spectra {
        self.desk.spectra()
    }

    /// Takes sound from somewhere else.
    ///
    /// # Errors
    /// See [`SwitchError`]; the input stays what it was.
    pub fn set_input(&mut self, choice: InputChoice) -> Result<(), SwitchError> {
        let source = Source::open(&choice)?;
        self.open_input(&choice, source)?;
        self.tell_devices();
        Ok(())
    }

    /// Processes the voice otherwise: the input is opened anew.
    ///
    /// # Errors
    /// See [`SwitchError`]; the input stays as it was.
    pub fn set_voice(&mut self, voice: VoiceMode) -> Result<(), SwitchError> {
        let before = std::mem::replace(&mut self.voice, voice);
        let outcome = self.set_input(self.chosen.clone());
        if outcome.is_err() {
            self.voice = before;
        }
        outcome
    }

    /// Processes the voice by something else: the input is opened anew. What cannot be had becomes an [`Event::Warning`].
    ///
    /// # Errors
    /// See [`SwitchError`]; the input stays as it was.
    pub fn set_voice_engine(&mut self, engine: VoiceEngine) -> Result<(), SwitchError> {
        let before = std::mem::replace(&mut self.voice_engine, engine);
        let outcome = self.set_input(self.chosen.clone());
        if outcome.is_err() {
            self.voice_engine = before;
        }
        outcome
    }

    /// Brings sound somewhere else.
    ///
    /// # Errors
    /// See [`SwitchError`]; the output stays what it was.
    pub fn set_output(&mut self, choice: OutputChoice) -> Result<(), SwitchError> {
        let sink = Sink::create(&choice)?;
        self.open_output(&choice, sink)?;
        self.tell_devices();
        Ok(())
    }

    /// Records everybody in `folder`, which is new or empty; `me` is the own name and short id. It ends with [`Event::Recorded`].
    ///
    /// # Errors
    /// See [`RecordError`]; nothing else changes.
    pub fn record(&mut self, folder: &Path, me: (&str, &str)) -> Result<(), RecordError> {
        if self.recorder.is_some() {
            return Err(RecordError::Busy);
        }
        let (tapper, writer) = record::begin(folder, me, Instant::now())?;
        self.recorder = Some(Recorder::start(folder, writer)?);
        self.desk.record(Some(tapper));
        Ok(())
    }

    /// Records no more; does not wait for the disk. Says whether anything was recorded.
    pub fn stop_recording(&mut self) -> bool {
        self.desk.record(None);
        self.recorder.as_ref().map(Recorder::stop).is_some()
    }

    /// What happened since the last call, one at a time; to be called until `None` about every 50 ms. Also the time when things are
    /// freed and failed cards replaced.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.desk.tidy();
        self.look_after_cards();
        self.look_after_recording();
        self.look_for_head();
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        let mut report = self.desk.poll_report(Instant::now())?;
        self.complete(&mut report.delays, report.depths);
        let cards = [&self.input, &self.output];
        report.xruns += self.past_xruns + cards.into_iter().flatten().map(|card| card.xruns()).sum::<u64>();
        Some(Event::Report(report))
    }

    /// Stops sound: files are finished, threads have ended when this returns.
    pub fn stop(self) {
        drop(self);
    }

    fn open_input(&mut self, choice: &InputChoice, source: Option<Source>) -> Result<(), SwitchError> {
        let applies = self.voice.applies_to(choice);
        let voice = if applies { self.cleaner() } else { Voice::new(false) };
        let worker = self.uplink.thread().ok_or(SwitchError::Busy)?;
        if self.mics.is_full() {
            return Err(SwitchError::Busy);
        }
        let (writer, mut reader) = rings::mic(worker.clone(), self.packet.samples(), self.voice.channels());
        let gauges = self.desk.gauges().clone();
        reader.measure(if applies { gauges.voice } else { gauges.microphone.clone() });
        let voice_engine = if self.voice == VoiceMode::Music { "music" } else { voice.engine() };
        let (stage, writer) = if applies {
            let (stage, writer) = VoiceStage::start(voice, writer, self.agreement.clone(), gauges.microphone)?;
            (Some(stage), writer)
        } else {
            (None, writer)
        };
        let card = match source {
            Some(source) => virtual_card::open_input(choice.to_string(), source, writer)?,
            None => card::open_input(wanted_input(choice), writer)?,
        };
        let _ = self.mics.push(reader);
        worker.unpark();
        self.desk.set_voice_engine(voice_engine);
        // The card before the stage that it wrote into.
        self.past_xruns += self.input.replace(card).map_or(0, |old| old.xruns());
        let old = std::mem::replace(&mut self.stage, stage);
        if let Some(reference) = old.and_then(VoiceStage::stop).or_else(|| self.reference.take()) {
            self.hear(reference);
        }
        self.chosen = choice.clone();
        Ok(())
    }

    /// What was chosen to process the voice, or what is always there.
    fn cleaner(&mut self) -> Voice {
        Voice::with(self.voice_engine).unwrap_or_else(|absent| {
            let [chosen, engine] = [self.voice_engine, VoiceEngine::default()];
            let message = format!("{chosen} cannot process your voice: {absent}.");
            self.warn("voice-engine", message, &format!("It is processed by {engine}."));
            self.voice_engine = engine;
            Voice::new(true)
        })
    }

    fn open_output(
        &mut self,
        choice: &OutputChoice,
        sink: Option<(Sink, Option<TapSender>)>,
    ) -> Result<(), SwitchError> {
        let worker = self.downlink.thread().ok_or(SwitchError::Busy)?;
        if self.speakers.is_full() {
            return Err(SwitchError::Busy);
        }
        let (writer, mut reader) = rings::speaker(worker.clone());
        let (played, reference) = rings::reference();
        reader.tell(played);
        reader.measure(self.desk.gauges().speaker.clone());
        let (card, taps) = match sink {
            Some((sink, taps)) => (virtual_card::open_output(choice.to_string(), sink, reader)?, taps),
            None => (card::open_output(wanted_output(choice), reader)?, None),
        };
        let _ = self.speakers.push(writer);
        worker.unpark();
        self.desk.set_taps(taps);
        self.past_xruns += self.output.replace(card).map_or(0, |old| old.xruns());
        self.hear(reference);
        self.place();
        Ok(())
    }

    /// What the desk cannot know of the delays: the cards', the voice's, and what never leaves the rings between them.
    fn complete(&self, delays: &mut Delays, depths: Depths) {
        let card = |card: &Option<Box<dyn Card>>| {
            card.as_ref().and_then(|card| card.delay()).map_or(0.0, |delay| 1_000.0 * delay.as_secs_f32())
        };
        let cleaned = self.stage.as_ref().map_or(0, VoiceStage::delay);
        // A voice is processed in frames of 10 ms.
        let whole = if self.stage.is_some() { self.packet.samples().max(FRAME) } else { self.packet.samples() };
        delays.capture_ms = card(&self.input) + depths.microphone.least_ms();
        delays.processing_ms = milliseconds(cleaned as f32) + depths.voice.least_ms();
        delays.packet_ms = delays.packet_ms.max(milliseconds(whole as f32));
        delays.playback_ms = depths.speaker.least_ms() + card(&self.output);
    }

    /// Whoever processes the voice hears this from now on.
    fn hear(&mut self, reference: Consumer<f32>) {
        match &mut self.stage {
            Some(stage) => stage.hear(reference),
            None => self.reference = Some(reference),
        }
    }

    fn look_after_cards(&mut self) {
        if let Some(fault) = self.input.as_ref().and_then(|card| card.fault()) {
            self.fall_back_to_silence(&fault);
            self.tell_devices();
        }
        if let Some(fault) = self.output.as_ref().and_then(|card| card.fault()) {
            self.fall_back_to_nowhere(&fault);
            self.tell_devices();
        }
        // The system may have moved the sound to another device by itself.
        let now = self.devices();
        let (moved, changed) = (now.2 != self.told.2, now != self.told);
        if moved {
            self.place();
        }
        if changed {
            if now.0 == NOTHING && self.told.0 != NOTHING {
                let message = format!("You cannot be heard: there is no microphone since {} is gone.", self.told.0);
                self.warn(
                    "no-input",
                    message,
                    "Plug one in and it is used, or choose another input with the command input.",
                );
            }
            self.tell_devices();
        }
    }

    fn look_after_recording(&mut self) {
        let Some(recorder) = &mut self.recorder else { return };
        let missed_ms = recorder.take_missed_ms();
        let ended = recorder.poll();
        if missed_ms > 0 {
            let message = format!("The disk is too slow: {missed_ms} ms of the recording are silence.");
            self.warn("recording_gaps", message, "Stop what else writes to it, or record to another disk.");
        }
        if let Some(written) = ended {
            self.desk.record(None);
            self.recorder = None;
            self.tell(Event::Recorded { problem: written.err() });
        }
    }

    fn fall_back_to_silence(&mut self, why: &str) {
        self.warn("no-input", format!("You cannot be heard: {why}."), "Choose another input with the command input.");
        let choice = InputChoice::Silence;
        if self.open_input(&choice, Some(Source::Silence)).is_err() {
            self.input = None;
        }
    }

    fn fall_back_to_nowhere(&mut self, why: &str) {
        self.warn("no-output", format!("You cannot hear: {why}."), "Choose another output with the command output.");
        let choice = OutputChoice::Null;
        if self.open_output(&choice, Some((Sink::Null, None))).is_err() {
            self.output = None;
        }
    }

    /// What is in use, and what the output is listened with.
    fn devices(&self) -> (String, String, Option<Ears>) {
        let name = |card: &Option<Box<dyn Card>>| match card {
            Some(card) if !card.is_absent() => card.name(),
            _ => NOTHING.into(),
        };
        (name(&self.input), name(&self.output), self.output.as_ref().and_then(|card| card.ears()))
    }

    fn tell_devices(&mut self) {
        self.told = self.devices();
        let (input, output, _) = self.told.clone();
        self.tell(Event::Devices { input, output });
    }

    fn warn(&mut self, code: &'static str, message: String, hint: &str) {
        self.tell(Event::Warning { code, message, hint: hint.into() });
    }

    fn tell(&mut self, event: Event) {
        if self.events.len() >= MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }
}

fn wanted_input(choice: &InputChoice) -> Wanted<'_> {
    match choice {
        InputChoice::Device(name) => Wanted::Named(name),
        InputChoice::Default | InputChoice::Wav { .. } | InputChoice::Tone { .. } | InputChoice::Silence => {
            Wanted::Default
        }
    }
}

fn wanted_output(choice: &OutputChoice) -> Wanted<'_> {
    match choice {
        OutputChoice::Device(name) => Wanted::Named(name),
        OutputChoice::Default | OutputChoice::Wav(_) | OutputChoice::WavPerPeer(_) | OutputChoice::Null => {
            Wanted::Default
        }
    }
}

mod space;
#[cfg(test)]
mod tests;
