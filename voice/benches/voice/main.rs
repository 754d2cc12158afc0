//! What voice processing does to speech, noise and echo: recorded speech in rooms that are made up, all stages on, as in a call; with
//! each engine that is built in.
//!
//! Each line ends with what it has to be; the bench fails if one is not. The sounds are left in `target/quality/voice`. Needs the
//! tools of `make setup`.

#[path = "../../../tests/quality/judge.rs"]
mod judge;
mod rooms;

use judge::{Judge, prompts};
use resonance_voice::{Block, Engine, FRAME, SAMPLE_RATE, Voice};
use rooms::{at_level, convolve, drifted, fan, hiss, later, level, mixed, room};
use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

const SECOND: usize = SAMPLE_RATE as usize;
/// From what is handed to the speaker to its echo at the microphone, beside the way through the room: 40 ms of buffers.
const BUFFERS: usize = SECOND / 25;
/// The echo against what is played, in dB.
const ECHO_DB: f64 = -6.0;
/// What a microphone has of noise by itself, in dBFS.
const MICROPHONE_DB: f64 = -75.0;
/// RT60, and the STOI that the C++ original, `webrtc-audio-processing` 2.1 (AEC3 with its high-pass filter, moderate noise suppression,
/// AGC2), leaves of the near voice in `double-RT60.wav`.
const ROOMS: [(f64, f64); 3] = [(0.2, 0.851), (0.4, 0.838), (0.6, 0.844)];

fn main() -> ExitCode {
    let (Some(prompts), Some(judge)) =
        (prompts(), Judge::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."), "quality/voice"))
    else {
        say("voice: left out, since recorded speech or the Python environment is missing (`make setup` installs both)");
        return ExitCode::SUCCESS;
    };
    let far = whole(&prompts.iter().rev().cloned().collect::<Vec<_>>());
    let mut bench = Bench { far, judge, engine: Engine::default(), missed: 0 };
    let speech = whole(&prompts);
    bench.judge.write("far", &bench.far);
    for engine in Engine::BUILT_IN {
        bench.engine = *engine;
        say(&format!("{engine}:"));
        bench.clean(&speech);
        bench.noise(&speech);
        for (index, (rt60, original)) in ROOMS.into_iter().enumerate() {
            bench.echo(rt60, 10 * index as u64);
            bench.double_talk(&prompts, rt60, 10 * index as u64, original);
        }
        bench.gain(&prompts);
        bench.cost(&speech);
    }
    if bench.missed > 0 {
        say(&format!("voice: {} of the lines above are not what they have to be", bench.missed));
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// All of it twice, in whole frames: 24 s.
fn whole(prompts: &[Vec<f32>]) -> Vec<f32> {
    let mut speech = prompts.concat().repeat(2);
    speech.truncate(speech.len() / FRAME * FRAME);
    speech
}

/// How much less there is of `after` than of `before` in these seconds, in dB.
fn taken(before: &[f32], after: &[f32], seconds: std::ops::Range<f64>) -> f64 {
    let at = |second: f64| ((second * SECOND as f64) as usize).min(before.len());
    let part = at(seconds.start)..at(seconds.end);
    level(&before[part.clone()]) - level(&after[part])
}

struct Bench {
    far: Vec<f32>,
    judge: Judge,
    engine: Engine,
    missed: u32,
}

impl Bench {
    fn line(&mut self, text: &str, wanted: &str, good: bool) {
        say(&format!("{text}   [{wanted}{}]", if good { "" } else { ": MISSED" }));
        self.missed += u32::from(!good);
    }

    fn voice(&self) -> Voice {
        Voice::with(self.engine).expect("it is built in")
    }

    /// What comes out of a voice processor that begins with this, each frame where it was said: the delay changes when noise begins.
    fn processed(&self, mic: &[f32], far: Option<&[f32]>) -> Vec<f32> {
        let mut voice = self.voice();
        let mut out = vec![0.0; mic.len() + 2 * FRAME];
        let frames = mic.chunks_exact(FRAME).chain([[0.0; FRAME].as_slice(); 2]);
        for (index, frame) in frames.enumerate() {
            let played = far.and_then(|far| far.get(index * FRAME..)?.first_chunk::<FRAME>());
            let mut block: Block = frame.try_into().expect("a frame");
            voice.process(&mut block, played.unwrap_or(&[0.0; FRAME]));
            if let Some(at) = (index * FRAME).checked_sub(voice.delay()) {
                out[at..at + FRAME].copy_from_slice(&block);
            }
        }
        out.truncate(mic.len());
        out
    }

    fn clean(&mut self, speech: &[f32]) {
        let out = self.processed(speech, None);
        let files = [self.judge.write("clean-out", &out)];
        let verdict = self.judge.verdicts(&self.judge.write("speech", speech), &files)[0];
        let text = format!("clean speech: PESQ-WB {:.2}, STOI {:.3}", verdict.pesq, verdict.stoi);
        self.line(&text, "PESQ-WB at least 4.1", verdict.pesq >= 4.1);
    }

    fn noise(&mut self, speech: &[f32]) {
        const WINDOW: usize = SECOND / 50;
        let windows = |wanted: fn(f64) -> bool| -> Vec<usize> {
            let starts = (3 * SECOND..speech.len() - WINDOW).step_by(WINDOW);
            starts.filter(|at| wanted(level(&speech[*at..at + WINDOW]))).collect()
        };
        let (pauses, words) = (windows(|db| db < -65.0), windows(|db| db > -30.0));
        let within = |sound: &[f32], starts: &[usize]| {
            level(&starts.iter().flat_map(|at| sound[*at..at + WINDOW].iter().copied()).collect::<Vec<_>>())
        };
        let clean = self.judge.write("speech", speech);
        let length = speech.len();
        for (name, noise, least) in [
            ("hiss at -65 dBFS", hiss(length, -65.0, 2), 0.0),
            ("hiss at -50 dBFS", hiss(length, -50.0, 2), 10.0),
            ("fan at -50 dBFS", fan(length, -50.0, 1), 10.0),
            ("fan at -40 dBFS", fan(length, -40.0, 1), 10.0),
        ] {
            let noisy = mixed(speech, &noise);
            let out = self.processed(&noisy, None);
            let files = [self.judge.write("noisy", &noisy), self.judge.write("noisy-out", &out)];
            let verdicts = self.judge.verdicts(&clean, &files);
            // Against the voice: what the gain does to both does not count.
            let removed =
                within(&noisy, &pauses) - within(&out, &pauses) + within(&out, &words) - within(&noisy, &words);
            let [before, after] = [verdicts[0], verdicts[1]];
            let text = format!(
                "{name}: {removed:.1} dB of it removed, PESQ-WB {:.2} -> {:.2}, STOI {:.3} -> {:.3}",
                before.pesq, after.pesq, before.stoi, after.stoi
            );
            let wanted = format!("at least {least:.0} dB, PESQ-WB no lower");
            self.line(&text, &wanted, removed >= least && after.pesq >= before.pesq);
        }
    }

    fn echo_in(&self, rt60: f64, seed: u64) -> Vec<f32> {
        let echo = convolve(&later(&self.far, BUFFERS), &room(rt60, seed));
        at_level(&echo, level(&self.far) + ECHO_DB)
    }

    fn echo(&mut self, rt60: f64, seed: u64) {
        let own = hiss(self.far.len(), MICROPHONE_DB, 3);
        let first = BUFFERS as f64 / SECOND as f64 + 1.0;
        for seed in seed..seed + 3 {
            let mic = mixed(&self.echo_in(rt60, seed), &own);
            let out = self.processed(&mic, Some(&self.far));
            let [soon, then] = [taken(&mic, &out, 0.0..first), taken(&mic, &out, first..60.0)];
            let text =
                format!("echo, RT60 {rt60} s: {soon:.1} dB of it removed in the first second, {then:.1} dB later");
            self.line(&text, "at least 25 and 35 dB", soon >= 25.0 && then >= 35.0);
            if !seed.is_multiple_of(10) {
                continue;
            }
            self.judge.write(&format!("echo-{rt60}"), &mic);
            self.judge.write(&format!("echo-{rt60}-out"), &out);

            let mic = mixed(&drifted(&self.echo_in(rt60, seed), 100.0), &own);
            let out = self.processed(&mic, Some(&self.far));
            let halves = [taken(&mic, &out, first..12.0), taken(&mic, &out, 12.0..60.0)];
            let text = format!("clocks 100 ppm apart, RT60 {rt60} s: {:.1} dB, then {:.1} dB", halves[0], halves[1]);
            self.line(&text, "at least 35 dB", halves.iter().all(|db| *db >= 35.0));

            let mut echo = self.echo_in(rt60, seed);
            let jumped = later(&echo, SECOND * 60 / 1_000);
            echo[12 * SECOND..].copy_from_slice(&jumped[12 * SECOND..]);
            let mic = mixed(&echo, &own);
            let out = self.processed(&mic, Some(&self.far));
            self.judge.write(&format!("jump-{rt60}"), &mic);
            self.judge.write(&format!("jump-{rt60}-out"), &out);
            let at = |from: f64, to: f64| taken(&mic, &out, from..to);
            let seconds = [12.0, 13.0, 14.0].map(|from| at(from, from + 1.0));
            let (before, later) = (at(3.0, 12.0), at(15.0, 60.0));
            let text = format!(
                "delay jumps by 60 ms, RT60 {rt60} s: {before:.1} dB before, {:.1}, {:.1} and {:.1} dB in the three seconds after it, {later:.1} dB later",
                seconds[0], seconds[1], seconds[2]
            );
            let good = seconds[2] >= 25.0 && later >= 35.0;
            self.line(&text, "at least 25 dB from the third second on, 35 dB later", good);
        }
    }

    fn double_talk(&mut self, prompts: &[Vec<f32>], rt60: f64, seed: u64, original: f64) {
        let length = self.far.len();
        let mut others = prompts.to_vec();
        others.rotate_left(3);
        let near = later(&whole(&others), 3 * SECOND);
        let echo = at_level(&self.echo_in(rt60, seed), level(&near[3 * SECOND..]) - 12.0);
        let mic = mixed(&mixed(&near, &echo), &hiss(length, MICROPHONE_DB, 3));
        let out = self.processed(&mic, Some(&self.far));
        let files =
            [self.judge.write(&format!("double-{rt60}"), &mic), self.judge.write(&format!("double-{rt60}-out"), &out)];
        let verdicts = self.judge.verdicts(&self.judge.write("near", &near), &files);
        let text = format!(
            "both talk, RT60 {rt60} s, the echo 12 dB below: STOI of the near voice {:.3} -> {:.3}",
            verdicts[0].stoi, verdicts[1].stoi
        );
        self.line(
            &text,
            &format!("{original:.3} by the C++ original, no more than 0.02 below"),
            verdicts[1].stoi >= original - 0.02,
        );
    }

    fn gain(&mut self, prompts: &[Vec<f32>]) {
        let once = prompts.concat();
        for (db, wanted, least, most) in [
            (-45.0, "at least 10 dB more, words alike within 2 dB, no clipping", 10.0, 21.0),
            (-35.0, "at least 5 dB more, words alike within 2 dB, no clipping", 5.0, 21.0),
            (-20.0, "as it is within 2 dB, words alike within 2 dB, no clipping", -2.0, 2.0),
        ] {
            let spoken = at_level(&once, db).repeat(5);
            let spoken = &spoken[..spoken.len() / FRAME * FRAME];
            let out = self.processed(spoken, None);
            // The gain of each word, once it has had time to settle.
            let mut at = 4 * once.len();
            let gains: Vec<f64> = prompts
                .iter()
                .map(|prompt| {
                    let part = at..(at + prompt.len()).min(spoken.len());
                    at += prompt.len();
                    level(&out[part.clone()]) - level(&spoken[part])
                })
                .collect();
            let lowest = gains.iter().copied().fold(f64::INFINITY, f64::min);
            let highest = gains.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let peak = out.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
            let text = format!("gain of a voice at {db} dBFS: {lowest:.1} to {highest:.1} dB a word, peak {peak:.2}");
            let good = lowest >= least && highest <= most && highest - lowest <= 2.0 && peak < 1.0;
            self.line(&text, wanted, good);
        }
    }

    fn cost(&self, speech: &[f32]) {
        let mut voice = self.voice();
        let mut times: Vec<f64> = speech
            .chunks_exact(FRAME)
            .map(|frame| {
                let mut block: Block = frame.try_into().expect("a frame");
                let began = Instant::now();
                voice.process(&mut block, frame.try_into().expect("a frame"));
                began.elapsed().as_secs_f64() * 1e6
            })
            .collect();
        times.sort_by(f64::total_cmp);
        let median = times[times.len() / 2];
        let out = self.processed(speech, None);
        let likeness = |off: &usize| -> f64 {
            let pairs = speech[SECOND + off - FRAME..].iter().zip(&out[SECOND..10 * SECOND]);
            pairs.map(|(a, b)| f64::from(a * b)).sum()
        };
        // How much sooner than it says, and a frame more.
        let off = (0..2 * FRAME).max_by(|a, b| likeness(a).total_cmp(&likeness(b))).unwrap_or(FRAME);
        say(&format!(
            "cost: {median:.0} µs a frame in the median ({:.1} % of a core), {:.0} µs at worst; delay {:.1} ms",
            median / 100.0,
            times[times.len() - 1],
            (voice.delay() + FRAME - off) as f64 * 1e3 / SECOND as f64
        ));
    }
}
