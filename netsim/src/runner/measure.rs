//! What came of a run, pair by pair.

use super::{Run, judge};
use crate::oracle::{Reach, reach};
use crate::report::{Figures, LinkFigures, NatFigures, Pair, Program, Report};
use crate::router::{HostId, NetworkId};
use crate::scenario::Does;
use crate::sound;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Seconds of a recording that are rated: PESQ is made for eight to twelve.
const RATED: usize = 8;
/// After a connection packets take a moment to come evenly.
const SETTLING: Duration = Duration::from_secs(1);
/// Packets that are further apart than this keep arriving no longer: ten of a voice are missing, or late.
const INTERRUPTED: Duration = Duration::from_millis(100);

pub(super) fn report(run: &Run<'_>, end: Instant, seed: u64) -> Report {
    let ids: BTreeMap<String, String> = run.ids().into_iter().map(|(id, name)| (name, id)).collect();
    let mut pairs = Vec::new();
    for (listener, speaker) in directed_pairs(run) {
        pairs.push(pair(run, listener, speaker, ids.get(speaker).map(String::as_str), end));
    }
    let lateness = run.driver.lateness();
    let programs: Vec<Program> = run
        .processes
        .iter()
        .map(|(name, process)| Program {
            name: name.clone(),
            code: process.code.flatten(),
            memory_mb: run.memory.get(name).copied(),
            panicked: process.complaints().contains("panicked at"),
        })
        .collect();
    let expectations = judge::judge(run, &pairs);
    let (links, nats, drops) = run.driver.with_router(|router| {
        let links = router.plan().hosts.iter().enumerate().filter_map(|(index, host)| {
            let [up, down] = router.link_tallies(HostId(index))?;
            let figures = |tally: crate::impairment::Tally| [tally.carried, tally.lost, tally.overflow + tally.down];
            Some(LinkFigures { host: host.name.clone(), up: figures(up), down: figures(down) })
        });
        let nats = router.plan().networks.iter().enumerate().filter_map(|(index, network)| {
            let crate::nat::Tally { admitted, unknown, filtered } = router.nat_tally(NetworkId(index))?;
            Some(NatFigures { network: network.name.clone(), admitted, unknown, filtered })
        });
        (links.collect(), nats.collect(), router.drops)
    });
    Report {
        scenario: run.scenario.name.clone(),
        about: run.scenario.about.clone(),
        seed,
        seconds: end.duration_since(run.begin).as_secs_f64(),
        passed: expectations.iter().all(|expectation| expectation.holds)
            && programs.iter().all(|program| !program.panicked),
        expectations,
        pairs,
        programs,
        links,
        nats,
        drops,
        packets: lateness.packets(),
        late_median_us: lateness.below(0.5).as_secs_f64() * 1e6,
        late_99_us: lateness.below(0.99).as_secs_f64() * 1e6,
        late_worst_us: lateness.worst.as_secs_f64() * 1e6,
    }
}

/// Listener and speaker, for all that take part in one session.
fn directed_pairs<'a>(run: &'a Run<'_>) -> Vec<(&'a str, &'a str)> {
    let names: Vec<&str> = run.processes.keys().map(String::as_str).collect();
    let together = |a: &str, b: &str| {
        a != b && run.scenario.session_of(a).is_some() && run.scenario.session_of(a) == run.scenario.session_of(b)
    };
    names.iter().flat_map(|a| names.iter().filter(|b| together(a, b)).map(|b| (*a, *b))).collect()
}

fn pair(run: &Run<'_>, listener: &str, speaker: &str, id: Option<&str>, end: Instant) -> Pair {
    let (ears, mouth) = (&run.processes[listener], &run.processes[speaker]);
    let since = |at: Instant| at.saturating_duration_since(ears.started.max(mouth.started)).as_secs_f64();
    let id = id.unwrap_or_default();
    let about = |kind: &'static str| {
        move |line: &super::process::Line| line.kind() == kind && line.field("peer") == id && !id.is_empty()
    };
    let found = ears.find(about("peer_found"));
    let connections = ears.lines_since(0, about("media_connected"));
    let (connected, latest) = (connections.first(), connections.last());
    let speaking =
        ears.find(|line| about("speaking")(line) && line.json.as_ref().is_some_and(|json| json["on"] == true));
    let stats = ears.lines_since(0, about("stats"));
    let mean = |field: &str| {
        let values: Vec<f64> = stats.iter().filter_map(|line| line.number(field)).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    let last = |field: &str| stats.last().and_then(|line| line.number(field));
    let [from, to] = [speaker, listener].map(|name| run.host(run.scenario.host_of(name)));
    let begin = connected.map_or(end, |line| line.at + SETTLING);
    let (packets, pauses) = run.driver.with_router(|router| {
        let arrivals = router.arrivals(from, to);
        let pauses = arrivals.map(|arrivals| arrivals.pauses(begin, end).collect::<Vec<_>>());
        (arrivals.map_or(0, |arrivals| arrivals.packets), pauses)
    });
    let longest = |pauses: &Vec<(Instant, Instant)>| pauses.iter().map(|(from, to)| *to - *from).max();
    let pause = pauses.as_ref().map(|pauses| longest(pauses).unwrap_or_default());
    Pair {
        listener: listener.into(),
        speaker: speaker.into(),
        found_s: found.as_ref().map(|line| since(line.at)),
        via: found.as_ref().map(|line| line.field("via").to_owned()),
        direct_possible: direct_possible(run, from, to),
        connected_s: connected.map(|line| since(line.at)),
        audio_s: speaking.map(|line| since(line.at)),
        path: latest.map(|line| line.field("path").to_owned()),
        local: latest.map(|line| line.field("local").to_owned()),
        remote: latest.map(|line| line.field("remote").to_owned()),
        packets,
        pause_ms: pause.map(|pause| pause.as_secs_f64() * 1e3),
        rtt_ms: mean("rtt_ms"),
        loss: mean("loss_down"),
        concealed: last("concealed"),
        jitter_buffer_ms: mean("jitter_buffer_ms"),
        refused: last("refused"),
        sound: sound_of(run, listener, speaker, id, &pauses.unwrap_or_default()),
    }
}

/// True if the oracle holds a direct path possible.
fn direct_possible(run: &Run<'_>, from: HostId, to: HostId) -> bool {
    run.driver.with_router(|router| reach(router.plan(), from.0, to.0) == Reach::Direct)
}

fn sound_of(run: &Run<'_>, listener: &str, speaker: &str, id: &str, pauses: &[(Instant, Instant)]) -> Option<Figures> {
    if run.scenario.peer.get(speaker).is_none_or(|spec| matches!(spec.does, Does::Helper | Does::Run)) {
        return None;
    }
    let file = recording_of(&run.ears(listener), id)?;
    let recording = sound::read(&file).ok()?;
    let heard = sound::heard(&recording)?;
    // Everything on one clock: seconds since the scenario's begin.
    let since = |at: Instant| at.saturating_duration_since(run.begin).as_secs_f64();
    let begun = run.recordings.get(&file).map_or(0.0, |begin| since(*begin));
    let silences: Vec<_> = heard.silences.iter().map(|(from, to)| (begun + from, begun + to)).collect();
    let interrupted = pauses.iter().filter(|(from, to)| *to - *from > INTERRUPTED);
    let interrupted: Vec<_> = interrupted.map(|(from, to)| (since(*from), since(*to))).collect();
    let aligned = run.voices.get(speaker).and_then(|said| sound::align(said, &recording, RATED));
    let quality = aligned.as_ref().and_then(|aligned| rate(run, aligned, &format!("{listener}-{speaker}")));
    Some(Figures {
        seconds: heard.seconds,
        silence_ms: heard.silence_ms(),
        silence_while_arriving_ms: sound::silence_outside(&silences, &interrupted),
        voiced: heard.voiced,
        likeness: aligned.map(|aligned| f64::from(aligned.likeness)),
        quality,
    })
}

fn recording_of(folder: &Path, id: &str) -> Option<PathBuf> {
    let files = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    let named = |path: &PathBuf| path.file_stem().is_some_and(|stem| stem.to_string_lossy().contains(id));
    files.filter(|_| !id.is_empty()).find(named)
}

/// What the judge of the command line says.
fn rate(run: &Run<'_>, aligned: &sound::Aligned, name: &str) -> Option<f64> {
    let words = run.options.judge.as_ref()?;
    let [said, heard] = ["said", "heard"].map(|kind| run.folder.join(format!("{name}-{kind}.wav")));
    sound::write(&said, &aligned.said).ok()?;
    sound::write(&heard, &aligned.heard).ok()?;
    let output = Command::new(words.first()?).args(&words[1..]).arg(said).arg(heard).output().ok()?;
    String::from_utf8_lossy(&output.stdout).lines().last()?.trim().parse().ok()
}
