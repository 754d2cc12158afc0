//! Recordings by the very pipeline, in virtual time: clicks that are heard and said at known moments lie there in the files.

use super::super::Control;
use super::super::format::FRAME;
use super::super::offline::Party;
use super::super::voice::Voice;
use super::*;
use hound::WavReader;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use resonance_protocol::identity::IdentityKey;
use resonance_protocol::link::SessionId;
use resonance_protocol::media::{InboundPacket, SenderKey};

const SESSION: SessionId = SessionId::from_bytes([7; 16]);
/// Samples from one click to the next: no divisor of anything here.
const CLICK_EVERY: usize = 33_331;
/// Samples of a click.
const CLICK: usize = 240;
/// Frames.
const SECOND: u64 = 100;

/// A sample of a click train: short tone bursts, which a codec keeps in their place.
fn clicks(sample: usize) -> f32 {
    let within = sample % CLICK_EVERY;
    if within >= CLICK {
        return 0.0;
    }
    let window = (within as f32 / CLICK as f32 * std::f32::consts::PI).sin();
    0.7 * window * (within as f32 * std::f32::consts::TAU * 2_000.0 / 48_000.0).sin()
}

/// Somebody whose packets come to the one who records.
struct Peer {
    id: TransportId,
    party: Party,
    is_there: bool,
    said: usize,
    /// What was heard of it, from the first rendered sample on.
    heard: Vec<f32>,
}

/// A sound card's clock: so much faster than the room's, in parts per million.
#[derive(Clone, Copy, Default)]
struct Clock(f64);

impl Clock {
    /// The room's sample in whose moment this one's is.
    fn common(self, sample: usize) -> f64 {
        sample as f64 / (1.0 + self.0 * 1.0e-6)
    }
}

struct Room {
    began: Instant,
    frame: u64,
    ada: Party,
    /// Of Ada's microphone and speaker.
    clocks: (Clock, Clock),
    /// How late her workers may be, in µs.
    lateness_us: u64,
    said: usize,
    rendered: usize,
    peers: Vec<Peer>,
    writer: Option<Writer>,
    /// The writer has time.
    disk_is_fast: bool,
    folder: tempfile::TempDir,
    rng: StdRng,
}

impl Room {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            frame: 0,
            ada: Party::new(Voice::new(false)).expect("a pipeline"),
            clocks: Default::default(),
            lateness_us: 0,
            said: 0,
            rendered: 0,
            peers: Vec::new(),
            writer: None,
            disk_is_fast: true,
            folder: tempfile::tempdir().expect("folder"),
            rng: StdRng::seed_from_u64(5),
        }
    }

    fn at(&self, sample: f64) -> Instant {
        self.began + Duration::from_secs_f64(sample / 48_000.0)
    }

    fn now(&self) -> Instant {
        self.began + Duration::from_millis(10 * self.frame)
    }

    fn tell(&mut self, control: Control) {
        let now = self.now();
        self.ada.control(control, now).expect("done");
    }

    fn joins(&mut self, n: u8, name: &str) {
        let (id, now) = (TransportId::from_bytes([n; 32]), self.now());
        let fingerprint = IdentityKey::generate(&mut self.rng).public().fingerprint();
        let key = SenderKey::generate(0, &mut self.rng);
        self.tell(Control::Name { peer: id, name: name.into() });
        self.tell(Control::AddLane { peer: id });
        self.tell(Control::OpeningKey { peer: id, key: Box::new(key.opening_key(&SESSION, &fingerprint)) });
        let mut party = Party::new(Voice::new(false)).expect("a pipeline");
        party.control(Control::SenderKey(Box::new(key.sealer(&SESSION, &fingerprint))), now).expect("done");
        match self.peers.iter_mut().find(|peer| peer.id == id) {
            Some(peer) => (peer.party, peer.is_there) = (party, true),
            None => self.peers.push(Peer { id, party, is_there: true, said: 0, heard: vec![0.0; self.rendered] }),
        }
    }

    fn leaves(&mut self, index: usize) {
        let peer = self.peers[index].id;
        self.peers[index].is_there = false;
        self.tell(Control::RemoveLane { peer });
    }

    /// Begins; gives the moment, in samples.
    fn records(&mut self) -> f64 {
        let folder = self.folder.path().join("call");
        let (tapper, writer) = begin(&folder, ("Ada", "adaadaad"), self.now()).expect("begins");
        self.ada.record(Some(tapper));
        self.writer = Some(writer);
        (self.frame as usize * FRAME) as f64
    }

    fn late(&mut self) -> Duration {
        Duration::from_micros(if self.lateness_us == 0 { 0 } else { self.rng.random_range(0..self.lateness_us) })
    }

    fn run(&mut self, frames: u64) {
        for _ in 0..frames {
            self.frame += 1;
            let now = self.now();
            for peer in self.peers.iter_mut().filter(|peer| peer.is_there) {
                let mut block = std::array::from_fn(|n| clicks(peer.said + n));
                peer.said += FRAME;
                peer.party.speak_at(now, &mut block);
                while let Some(packet) = peer.party.sealed() {
                    self.ada.deliver(InboundPacket { from: peer.id, arrived: now, packet });
                }
            }
            while self.at(self.clocks.0.common(self.said + FRAME)) <= now {
                let moment = self.at(self.clocks.0.common(self.said + FRAME));
                let mut block = std::array::from_fn(|n| clicks(self.said + n));
                self.said += FRAME;
                let late = self.late();
                self.ada.speak_at(moment + late, &mut block);
                while self.ada.sealed().is_some() {}
            }
            while self.at(self.clocks.1.common(self.rendered + FRAME)) <= now {
                let moment = self.at(self.clocks.1.common(self.rendered + FRAME));
                let mut out = [[0.0; 2]; FRAME];
                let late = self.late();
                self.ada.hear(moment + late, &mut out);
                self.rendered += FRAME;
                for peer in &mut self.peers {
                    let mut block = [0.0; FRAME];
                    match self.ada.voice(peer.id, &mut block) {
                        true => peer.heard.extend(block),
                        false => peer.heard.resize(self.rendered, 0.0),
                    }
                }
            }
            self.ada.tidy();
            if let (Some(writer), true) = (&mut self.writer, self.disk_is_fast) {
                writer.step().expect("written");
            }
        }
    }

    /// Ends the recording; gives the pieces that it missed.
    fn stops(&mut self) -> u64 {
        self.ada.record(None);
        self.run(1);
        let mut writer = self.writer.take().expect("recorded");
        writer.step().expect("written");
        let missed = writer.missed();
        writer.finish().expect("finished");
        missed
    }

    fn track(&self, file: &str) -> Vec<f32> {
        let path = self.folder.path().join("call").join(file);
        let samples = WavReader::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        samples.into_samples::<i16>().map(|sample| f32::from(sample.expect("reads")) / 32_768.0).collect()
    }

    fn peers_track(&self, index: usize, name: &str) -> Vec<f32> {
        self.track(&format!("{name}-{}.wav", self.peers[index].id.short()))
    }
}

/// Where clicks begin.
fn onsets(samples: &[f32]) -> Vec<usize> {
    let needle: Vec<f32> = (0..CLICK).map(clicks).collect();
    let energy = needle.iter().map(|x| x * x).sum::<f32>();
    let likeness = |at: usize| needle.iter().zip(&samples[at..]).map(|(a, b)| a * b).sum::<f32>() / energy;
    let mut found = Vec::new();
    let mut at = 0;
    while at + 2 * CLICK < samples.len() {
        if likeness(at) > 0.3 {
            let best = (at..at + CLICK).max_by(|a, b| likeness(*a).total_cmp(&likeness(*b))).expect("a place");
            found.push(best);
            at = best + CLICK_EVERY / 2;
        }
        at += 1;
    }
    found
}

/// How far the clicks of a track lie from where they belong, at most, in samples; each has to be there.
fn worst(track: &[f32], expected: impl IntoIterator<Item = f64>) -> f64 {
    let found = onsets(track);
    let last = track.len() - 2 * CLICK;
    let expected: Vec<f64> = expected.into_iter().filter(|at| (0.0..last as f64).contains(at)).collect();
    assert!(expected.len() > 4 && found.len().abs_diff(expected.len()) <= 1, "{found:?} against {expected:?}");
    let off = |at: &usize| expected.iter().map(|expected| (*at as f64 - expected).abs()).fold(f64::MAX, f64::min);
    found.iter().map(off).fold(0.0, f64::max)
}

/// Where the clicks that were said after a recording began belong.
fn said(room: &Room, began: f64) -> impl Iterator<Item = f64> {
    let clock = room.clocks.0;
    (0..room.said).step_by(CLICK_EVERY).map(move |at| clock.common(at) - began)
}

/// Where the clicks belong that were heard: a frame is rendered when the one that is said meanwhile has just come.
fn heard(room: &Room, index: usize, began: f64) -> impl Iterator<Item = f64> {
    let clock = room.clocks.1;
    let onsets = onsets(&room.peers[index].heard);
    onsets.into_iter().map(move |at| clock.common(at + FRAME) - began)
}

#[test]
fn everybody_lies_where_it_was_heard_and_said_also_who_comes_late_goes_and_comes_back() {
    let mut room = Room::new();
    room.joins(1, "Bo");
    // The call goes on for a while before anything is recorded.
    room.run(3 * SECOND + 7);
    let began = room.records();
    room.run(4 * SECOND);
    room.joins(2, "../Cy");
    room.run(4 * SECOND);
    room.leaves(0);
    room.run(2 * SECOND);
    room.joins(1, "Bo");
    room.run(4 * SECOND);
    assert_eq!(room.stops(), 0);

    let tracks = [room.track("Ada-adaadaad.wav"), room.peers_track(0, "Bo"), room.peers_track(1, "Cy")];
    let lengths = tracks.each_ref().map(Vec::len);
    assert!(
        lengths[0].abs_diff(14 * 48_000) <= 2 * FRAME && lengths == [lengths[0]; 3],
        "all end together: {lengths:?}"
    );
    assert_eq!(std::fs::read_dir(room.folder.path().join("call")).expect("a folder").count(), 3, "one file each");
    assert!(tracks[2][..4 * 48_000].iter().all(|sample| *sample == 0.0), "nobody was there yet");
    let off = [
        worst(&tracks[0], said(&room, began)),
        worst(&tracks[1], heard(&room, 0, began)),
        worst(&tracks[2], heard(&room, 1, began)),
    ];
    assert!(off.iter().all(|off| *off <= 1.0), "{off:?} samples");
}

/// Half a second an hour, and threads that are woken late.
#[test]
fn cards_whose_clocks_drift_apart_stay_together_within_a_millisecond() {
    let mut room = Room::new();
    room.clocks = (Clock(300.0), Clock(-300.0));
    room.lateness_us = 3_000;
    room.joins(1, "Bo");
    room.run(SECOND);
    let began = room.records();
    room.run(60 * SECOND);
    assert_eq!(room.stops(), 0);
    let own = worst(&room.track("Ada-adaadaad.wav"), said(&room, began));
    let bo = worst(&room.peers_track(0, "Bo"), heard(&room, 0, began));
    assert!(own <= 48.0 && bo <= 48.0, "{own} and {bo} samples; without correction it would be 860");
}

#[test]
fn what_a_slow_disk_misses_is_counted_and_silent_and_what_comes_after_lies_right() {
    let mut room = Room::new();
    room.joins(1, "Bo");
    room.run(SECOND);
    let began = room.records();
    room.run(3 * SECOND);
    room.disk_is_fast = false;
    room.run(3 * SECOND);
    room.disk_is_fast = true;
    room.run(4 * SECOND);
    let missed = room.stops();
    assert!((190..=202).contains(&missed), "a second of two voices: {missed}");
    let own = room.track("Ada-adaadaad.wav");
    let [before, after] = [&own[..5 * 48_000 - FRAME], &own[6 * 48_000 + FRAME..]].map(onsets);
    let expected: Vec<usize> = said(&room, began).map(|at| at as usize).collect();
    let lies_right = |at: &usize| expected.iter().any(|expected| expected.abs_diff(*at) <= 1);
    assert!(before.len() > 5 && before.iter().all(lies_right), "{before:?} of {expected:?}");
    let after: Vec<usize> = after.iter().map(|at| at + 6 * 48_000 + FRAME).collect();
    assert!(after.len() > 3 && after.iter().all(lies_right), "{after:?} of {expected:?}");
    let missing = &own[5 * 48_000 + FRAME..6 * 48_000 - FRAME];
    assert!(missing.iter().all(|sample| *sample == 0.0));
}

#[test]
fn what_comes_in_other_lengths_becomes_pieces_and_what_is_missing_stays_missing() {
    let now = Instant::now();
    let (producer, mut ring) = rings::record();
    let mut tap = Tap::new(producer);
    let mut at = 0;
    // 2.5 ms, 5 ms, 20 ms and odd lengths; then a second is missing.
    for len in [120, 240, 960, 7, 353, 480, 100] {
        let samples: Vec<f32> = (at..at + len).map(|n| n as f32).collect();
        tap.push(Stamp::ahead(at as u64, now, at), &samples);
        at += len;
    }
    at += 48_000;
    tap.push(Stamp::ahead(at as u64, now, at), &[1.0; 480]);
    for number in 0..4 {
        let piece = ring.pop().expect("a piece");
        let first = number * FRAME;
        assert_eq!(piece.stamp.at, first as u64);
        let off = piece.stamp.when.duration_since(Stamp::ahead(0, now, first).when);
        assert!(off < Duration::from_micros(1), "{off:?}");
        assert!(piece.samples.iter().enumerate().all(|(n, sample)| *sample == (first + n) as f32));
    }
    assert_eq!(ring.pop().expect("what came after").stamp.at, at as u64);
    assert!(ring.pop().is_err(), "half a piece is none");
}

#[test]
fn a_closed_microphone_is_silence_and_how_somebody_is_heard_changes_nothing() {
    let mut room = Room::new();
    room.joins(1, "Bo");
    room.run(SECOND);
    room.records();
    let peer = room.peers[0].id;
    room.tell(Control::Mute(true));
    room.tell(Control::Volume { peer, db: -60.0 });
    room.tell(Control::Deafen(true));
    room.run(6 * SECOND);
    room.stops();
    assert!(room.track("Ada-adaadaad.wav")[FRAME..].iter().all(|sample| *sample == 0.0));
    let bo = room.peers_track(0, "Bo");
    let loudest = bo.iter().fold(0.0_f32, |loudest, sample| loudest.max(sample.abs()));
    assert!(loudest > 0.4, "as it was said: {loudest}");
    // Deafened, the tap of the ears gives nothing: the clicks come at their pace.
    let found = onsets(&bo);
    assert!(
        found.len() > 6 && found.windows(2).all(|pair| (pair[1] - pair[0]).abs_diff(CLICK_EVERY) <= 1),
        "{found:?}"
    );
}

#[test]
fn nothing_that_is_there_is_touched() {
    let place = tempfile::tempdir().expect("folder");
    let wanted = place.path().join("calls");
    assert_eq!(folder_for(&wanted, false, "now"), wanted);
    assert_eq!(folder_for(&wanted, true, "now"), wanted.join("resonance-now"));
    drop(begin(&wanted, ("Ada", "adaadaad"), Instant::now()).expect("begins"));
    assert!(begin(&wanted, ("Ada", "adaadaad"), Instant::now()).is_err(), "there is a file now");
    let second = folder_for(&wanted, false, "now");
    assert_eq!(second, wanted.join("resonance-now"));
    drop(begin(&second, ("Ada", "adaadaad"), Instant::now()).expect("begins"));
    assert_eq!(folder_for(&wanted, false, "now"), wanted.join("resonance-now-2"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| std::fs::metadata(path).expect("is there").permissions().mode() & 0o777;
        assert_eq!((mode(&second), mode(&second.join("Ada-adaadaad.wav"))), (0o700, 0o600));
    }
    let a_file = second.join("Ada-adaadaad.wav");
    for impossible in [a_file.join("x"), a_file, PathBuf::from("/proc/resonance")] {
        assert!(begin(&impossible, ("Ada", "adaadaad"), Instant::now()).is_err(), "{}", impossible.display());
    }
}

#[test]
fn names_of_others_name_files_and_nothing_else() {
    for (name, file) in [
        ("Bo", "Bo-id"),
        ("Zoë M.", "Zoë-M-id"),
        ("../../.bashrc", "bashrc-id"),
        ("a/b\\c:d\0e", "a-b-c-d-e-id"),
        ("-rf *", "rf-id"),
        ("日本語", "日本語-id"),
        ("...", "someone-id"),
        ("", "someone-id"),
    ] {
        assert_eq!(file_name(name, "id"), file, "{name:?}");
    }
    assert!(file_name(&"ö".repeat(500), "id").len() <= MAX_NAME + 3);
}

#[test]
fn people_who_come_and_go_for_ever_do_not_fill_the_folder() {
    let place = tempfile::tempdir().expect("folder");
    let (mut tapper, mut writer) = begin(place.path(), ("Ada", "adaadaad"), Instant::now()).expect("begins");
    let peer = |n: u8| Whose::Peer(TransportId::from_bytes([n; 32]));
    let taps: Vec<_> = (0..200).map(|n| tapper.tap(peer(n), "Bo").is_some()).collect();
    assert_eq!(taps.iter().filter(|made| **made).count(), MAX_TRACKS);
    assert!(tapper.tap(peer(0), "Bo").is_some(), "who was there before comes back to its file");
    writer.step().expect("written");
    assert_eq!(std::fs::read_dir(place.path()).expect("a folder").count(), MAX_TRACKS + 1);
}
