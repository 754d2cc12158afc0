//! Holds a scenario's expectations against what came of it.

use super::Run;
use crate::report::{Expectation, Pair};
use crate::scenario::{EventExpect, Expect, Hears};

/// A voice that never pauses is heard at least this share of the time, and is at least this like what was said.
const VOICED: f64 = 0.7;
const LIKE: f64 = 0.5;

pub(super) fn judge(run: &Run<'_>, pairs: &[Pair]) -> Vec<Expectation> {
    run.scenario.expect.iter().map(|expect| verdict(run, pairs, expect)).collect()
}

/// What was looked at, and whether it was as expected.
struct Finding {
    holds: bool,
    says: String,
}

fn verdict(run: &Run<'_>, pairs: &[Pair], expect: &Expect) -> Expectation {
    let of =
        |pair: &&Pair| expect.of.is_empty() || expect.of.contains(&pair.listener) && expect.of.contains(&pair.speaker);
    let concerned: Vec<&Pair> = pairs.iter().filter(of).collect();
    let mut findings: Vec<Finding> = concerned.iter().flat_map(|pair| of_pair(pair, expect)).collect();
    let about_pairs = expect.connects_within.is_some()
        || expect.path.is_some()
        || expect.hears.is_some()
        || expect.max_silence_ms.is_some()
        || expect.max_gap_ms.is_some()
        || expect.min_quality.is_some();
    if about_pairs && concerned.is_empty() {
        findings.push(Finding { holds: false, says: "there is no such pair".into() });
    }
    findings.extend(expect.event.as_ref().map(|event| of_event(run, event)));
    if let Some(limit) = expect.max_late_ms {
        let late = run.driver.lateness().below(0.99).as_secs_f64() * 1e3;
        findings.push(Finding { holds: late <= limit, says: format!("the simulation was late by {late:.2} ms") });
    }
    if let Some(limit) = expect.max_memory_mb {
        let meant = |(name, _): &(&String, &f64)| expect.of.is_empty() || expect.of.contains(name);
        findings.extend(
            run.memory
                .iter()
                .filter(meant)
                .map(|(name, memory)| Finding { holds: *memory <= limit, says: format!("{name} took {memory:.0} MB") }),
        );
    }
    if let Some(output) = &expect.output {
        let said =
            run.processes.get(&output.peer).map(|process| process.output() + &process.complaints()).unwrap_or_default();
        for words in &output.contains {
            let holds = said.contains(words);
            let tail: String = if holds { String::new() } else { format!("; it said: {}", said.trim()) };
            findings.push(Finding { holds, says: format!("{} says {words:?}{tail}", output.peer) });
        }
    }
    let all = !findings.is_empty() && findings.iter().all(|finding| finding.holds);
    let mut says: Vec<String> =
        findings.iter().filter(|finding| !finding.holds).map(|finding| finding.says.clone()).collect();
    let holds = match &expect.fails {
        None => all,
        Some(why) if all => {
            says.push(format!("it was expected to fail ({why}) and does not any more: take `fails` away"));
            false
        }
        Some(_) => true,
    };
    Expectation { what: describe(expect), holds, expected_failure: expect.fails.clone(), findings: says }
}

fn of_pair(pair: &Pair, expect: &Expect) -> Vec<Finding> {
    let who = format!("{} of {}", pair.listener, pair.speaker);
    let mut findings = Vec::new();
    let mut found = |holds, says: String| findings.push(Finding { holds, says: format!("{who}: {says}") });
    if let Some(limit) = expect.connects_within {
        match pair.connected_s {
            Some(seconds) => found(seconds <= limit, format!("connected after {seconds:.2} s")),
            None => found(false, "never connected".into()),
        }
    }
    if let Some(path) = &expect.path {
        let seen = pair.path.as_deref();
        let (holds, wanted) = match path.as_str() {
            "best" if pair.direct_possible => (seen == Some("direct"), "direct"),
            // By UDP it is not; by TCP somebody with a public address may be reached all the same.
            "best" => (seen.is_some_and(|path| !path.is_empty()), "any"),
            path => (seen == Some(path), path),
        };
        found(holds, format!("path {} instead of {wanted}", seen.unwrap_or("none")));
    }
    let sound = pair.sound.as_ref();
    if let Some(hears) = expect.hears {
        let heard =
            sound.is_some_and(|sound| sound.voiced >= VOICED && sound.likeness.is_none_or(|likeness| likeness >= LIKE));
        let says = sound.map_or("no sound".into(), |sound| {
            format!("voiced {:.0} % of {:.1} s, likeness {:?}", sound.voiced * 100.0, sound.seconds, sound.likeness)
        });
        found(heard == (hears == Hears::Yes), says);
    }
    if let Some(limit) = expect.max_silence_ms {
        match sound {
            Some(sound) => found(
                sound.silence_while_arriving_ms <= limit,
                format!(
                    "silent for {:.0} ms while packets arrived ({:.0} ms in all at once, {:.0} ms without a packet)",
                    sound.silence_while_arriving_ms,
                    sound.silence_ms,
                    pair.pause_ms.unwrap_or(0.0)
                ),
            ),
            None => found(false, "no sound".into()),
        }
    }
    if let Some(limit) = expect.max_gap_ms {
        let gap = sound.map(|sound| sound.silence_ms);
        found(
            gap.is_some_and(|gap| gap <= limit),
            gap.map_or("no sound".into(), |gap| format!("silent for {gap:.0} ms")),
        );
    }
    if let Some(least) = expect.min_quality {
        match sound.and_then(|sound| sound.quality) {
            Some(quality) => found(quality >= least, format!("quality {quality:.2}")),
            None => found(false, "no quality figure (is a --judge given, and did it work?)".into()),
        }
    }
    findings
}

fn of_event(run: &Run<'_>, expect: &EventExpect) -> Finding {
    let ids = run.ids();
    let about =
        expect.about.as_ref().map(|name| ids.iter().find(|(_, other)| *other == name).map(|(id, _)| id.clone()));
    let found = run.processes.get(&expect.peer).and_then(|process| {
        process.find(|line| {
            let at = line.at.saturating_duration_since(run.begin).as_secs_f64();
            let fields = expect.with.iter().all(|(name, value)| {
                let json = line.json.as_ref().map(|json| &json[name.as_str()]);
                json.is_some_and(|json| json.as_str().map_or_else(|| json.to_string(), str::to_owned) == *value)
            });
            line.kind() == expect.event
                && about.as_ref().is_none_or(|id| id.as_deref() == Some(line.field("peer")))
                && at >= expect.after
                && expect.before.is_none_or(|before| at <= before)
                && fields
        })
    });
    let whom = expect.about.as_ref().map(|name| format!(" about {name}")).unwrap_or_default();
    let when = match expect.before {
        Some(before) => format!(" between {} and {before} s", expect.after),
        None => String::new(),
    };
    Finding { holds: found.is_some(), says: format!("{} says {}{whom}{when}", expect.peer, expect.event) }
}

fn describe(expect: &Expect) -> String {
    let mut parts = Vec::new();
    if !expect.of.is_empty() {
        parts.push(expect.of.join(" and "));
    }
    parts.extend(expect.connects_within.map(|seconds| format!("connect within {seconds} s")));
    parts.extend(expect.path.as_ref().map(|path| format!("path {path}")));
    parts.extend(
        expect
            .hears
            .map(|hears| if hears == Hears::Yes { "hear one another".into() } else { "hear nothing".to_owned() }),
    );
    parts.extend(expect.max_silence_ms.map(|limit| format!("no silence above {limit} ms while packets arrive")));
    parts.extend(expect.max_gap_ms.map(|limit| format!("no silence above {limit} ms")));
    parts.extend(expect.min_quality.map(|least| format!("quality at least {least}")));
    parts.extend(expect.max_memory_mb.map(|limit| format!("at most {limit} MB")));
    parts.extend(expect.max_late_ms.map(|limit| format!("the simulation is late by {limit} ms at most")));
    parts.extend(expect.event.as_ref().map(|event| format!("{} says {}", event.peer, event.event)));
    parts.extend(expect.output.as_ref().map(|output| format!("{} says {:?}", output.peer, output.contains)));
    parts.join(", ")
}
