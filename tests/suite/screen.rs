//! The screen as a person sees it: two terminals, a link read off one and typed into the other.

use crate::support::process::{BINARY, Launch, Resonance, run};
use crate::support::terminal::{Terminal, Terminals};
use crate::support::{alone, has_tool, say, skip, sound};
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(15);

#[test]
fn two_people_meet_on_a_screen_of_80_by_24() {
    two_people_meet("screen::two_people_meet_on_a_screen_of_80_by_24", 80, 24);
}

#[test]
fn two_people_meet_on_a_screen_of_120_by_40() {
    two_people_meet("screen::two_people_meet_on_a_screen_of_120_by_40", 120, 40);
}

fn program(verb: &str, name: &str, data: &Path) -> String {
    let data = data.join(name);
    format!(
        "'{BINARY}' {verb} --name {name} --no-dht --no-mdns --input silence --output null --data-dir '{}'",
        data.display()
    )
}

fn two_people_meet(test: &str, columns: usize, rows: usize) {
    let _alone = alone();
    if !has_tool("tmux") {
        return skip(test, "tmux is missing");
    }
    let data = tempfile::tempdir().expect("a temporary folder");
    let terminals = Terminals::of(columns, rows);
    let (ada, bo) = (terminals.open("ada"), terminals.open("bo"));

    ada.runs(&program("create", "Ada", data.path()));
    let link = ada.wait_for("the whole link", PATIENCE, link_on);
    assert_eq!(run(&["link", "inspect", &link], PATIENCE).code, Some(0), "the link can be read off the screen: {link}");
    let speech = data.path().join("speech.wav");
    sound::write(&speech, &spoken());
    let bos = program(&format!("join '{link}'"), "Bo", data.path());
    let speaks = format!("--input 'wav-loop:{}'", speech.display());
    bo.runs(&format!("NO_COLOR=1 {}", bos.replace("--input silence", &speaks)));
    for (here, other) in [(&ada, "Bo"), (&bo, "Ada")] {
        here.wait_for("the other person, connected", PATIENCE, |screen| {
            (screen.contains(other) && screen.contains("direct") && screen.contains("Room")).then_some(())
        });
    }
    assert!(
        ada.colours() > 0 && bo.colours() == 0,
        "NO_COLOR takes the colours away: {} and {}",
        ada.colours(),
        bo.colours()
    );
    fits(&ada, columns, rows);

    they_compare_numbers(&ada, &bo);
    ada_moves_bo(&ada);
    ada_mutes_and_writes(&ada, &bo);
    ada_records(&ada, &bo, data.path());
    ada.types("?");
    ada.shows("Keys in a session", PATIENCE);
    ada.presses("Escape");

    bo.types("q");
    bo.shows("leave the others", PATIENCE);
    bo.types("q");
    bo.is_restored();
    ada.shows("Bo left", PATIENCE);
    ada.types("q");
    ada.is_restored();
}

/// The link, which goes over several lines.
pub fn link_on(screen: &str) -> Option<String> {
    let mut lines = screen.lines().map(|line| line.trim_matches(|c: char| c.is_whitespace() || "│|".contains(c)));
    let mut link = lines.find_map(|line| line.find("resonance:").map(|at| line[at..].to_owned()))?;
    for line in lines.take_while(|line| !line.is_empty()) {
        link.push_str(line);
    }
    let body = link.strip_prefix("resonance:")?;
    (body.len() > 100 && body.chars().all(|c| c.is_ascii_alphanumeric())).then_some(link)
}

fn fits(terminal: &Terminal<'_>, columns: usize, rows: usize) {
    let screen = terminal.screen();
    assert!(screen.lines().count() <= rows && screen.lines().all(|line| line.chars().count() <= columns), "{screen}");
    let last = screen.lines().rfind(|line| !line.is_empty()).unwrap_or_default();
    assert!(last.contains("mute") && last.contains("help"), "the bottom line names the keys that matter: {last}");
}

fn they_compare_numbers(ada: &Terminal<'_>, bo: &Terminal<'_>) {
    ada.types("v");
    bo.types("v");
    let [at_ada, at_bo] =
        [ada, bo].map(|terminal| terminal.wait_for("twelve groups of five digits", PATIENCE, safety_number));
    assert_eq!(at_ada, at_bo, "both screens show the same number");
    ada.types("y");
    ada.shows("✓", PATIENCE);
    bo.presses("Escape");
    bo.wait_for("the room again", PATIENCE, |screen| {
        (safety_number(screen).is_none() && screen.contains("Room")).then_some(())
    });
}

/// Groups of five digits on lines that hold at least three of them: the header's first groups are none.
fn safety_number(screen: &str) -> Option<Vec<String>> {
    let is_group = |word: &&str| word.len() == 5 && word.bytes().all(|digit| digit.is_ascii_digit());
    let rows =
        screen.lines().map(|line| line.split_whitespace().filter(is_group).map(str::to_owned).collect::<Vec<_>>());
    let groups: Vec<String> = rows.filter(|groups| groups.len() >= 3).flatten().collect();
    (groups.len() == 12).then_some(groups)
}

fn ada_moves_bo(ada: &Terminal<'_>) {
    let (row, column) = ada.wait_for("Bo on the map", PATIENCE, |screen| on_map(screen, "Bo"));
    for _ in 0..6 {
        ada.types("l");
    }
    ada.wait_for("Bo further right on the map", PATIENCE, |screen| {
        on_map(screen, "Bo").filter(|(_, now)| *now > column)
    });
    for _ in 0..8 {
        ada.types("j");
    }
    ada.wait_for("Bo further back on the map", PATIENCE, |screen| on_map(screen, "Bo").filter(|(now, _)| *now > row));
}

/// Row and column of a name inside the frame called Room.
fn on_map(screen: &str, name: &str) -> Option<(usize, usize)> {
    let lines: Vec<Vec<char>> = screen.lines().map(|line| line.chars().collect()).collect();
    let holds =
        |line: &[char], at: usize, word: &str| line[at..].iter().take(word.chars().count()).copied().eq(word.chars());
    let (top, title) = lines
        .iter()
        .enumerate()
        .find_map(|(row, line)| (0..line.len()).find(|at| holds(line, *at, "Room")).map(|at| (row, at)))?;
    let corner = |c: &char| "┌┐╭╮+".contains(*c);
    let left = (0..title).rev().find(|at| corner(&lines[top][*at]))?;
    let right = (title..lines[top].len()).find(|at| corner(&lines[top][*at]))?;
    lines
        .iter()
        .enumerate()
        .skip(top + 1)
        .take_while(|(_, line)| line.get(left).is_some_and(|c| "│|".contains(*c)))
        .find_map(|(row, line)| (left + 1..right.min(line.len())).find(|at| holds(line, *at, name)).map(|at| (row, at)))
}

fn ada_mutes_and_writes(ada: &Terminal<'_>, bo: &Terminal<'_>) {
    ada.types("m");
    ada.shows("nobody hears you", PATIENCE);
    bo.shows("muted", PATIENCE);
    ada.presses("Enter");
    ada.types("the gate is blue");
    ada.presses("Enter");
    bo.shows("the gate is blue", PATIENCE);
    bo.types(":say so is the bridge");
    bo.presses("Enter");
    ada.shows("so is the bridge", PATIENCE);
}

/// Speech, or where there is none a glide that is like nothing else.
fn spoken() -> Vec<f32> {
    let glide = |n: usize| {
        let t = n as f32 / 48_000.0;
        0.3 * (std::f32::consts::TAU * (300.0 * t + 40.0 * t * t)).sin() * (1.0 - (t * 2.0).fract())
    };
    sound::prompts().map_or_else(|| (0..5 * 48_000).map(glide).collect(), |prompts| sound::speech(&prompts, 0, 5))
}

fn ada_records(ada: &Terminal<'_>, bo: &Terminal<'_>, data: &Path) {
    let folder = data.join("call");
    ada.runs(&format!(":record {}", folder.display()));
    ada.shows("● REC you", PATIENCE);
    bo.shows("● REC Ada", PATIENCE);
    bo.shows("Ada ● is recording everybody", PATIENCE);
    std::thread::sleep(Duration::from_secs(7));
    ada.types("R");
    for screen in [ada, bo] {
        screen.wait_for("the end of the recording", PATIENCE, |screen| (!screen.contains("● REC")).then_some(()));
    }
    let files: Vec<_> =
        std::fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    assert_eq!(files.len(), 2, "{files:?}");
    let track = |name: &str| {
        let file =
            files.iter().find(|file| file.file_name().is_some_and(|file| file.to_string_lossy().starts_with(name)));
        sound::read_mono(file.unwrap_or_else(|| panic!("a file of {name}")))
    };
    let (own, bos) = (track("Ada-"), track("Bo-"));
    assert!(own.len() == bos.len() && bos.len() > 6 * 48_000, "{} and {}", own.len(), bos.len());
    let speech = spoken();
    let part = &bos[2 * 48_000..4 * 48_000];
    let (_, likeness) = sound::find(part, &[&speech[..], &speech[..]].concat());
    assert!(likeness > 0.7, "what Bo says is in the file: {likeness}");
    assert!(own[48_000..].iter().all(|sample| *sample == 0.0), "Ada's microphone is closed");
}

#[test]
fn the_start_screen_offers_the_three_ways_in() {
    let test = "screen::the_start_screen_offers_the_three_ways_in";
    let _alone = alone();
    if !has_tool("tmux") {
        return skip(test, "tmux is missing");
    }
    let data = tempfile::tempdir().expect("a temporary folder");
    let terminals = Terminals::of(80, 24);
    let ada = terminals.open("ada");
    ada.runs(&format!(
        "'{BINARY}' --name Ada --no-mdns --no-dht --input silence --output null --data-dir '{}'",
        data.path().display()
    ));
    ada.wait_for("create, join and this network", PATIENCE, |screen| {
        let screen = screen.to_lowercase();
        (["creat", "join", "network"].iter().all(|word| screen.contains(word)) && !screen.contains("--no-mdns"))
            .then_some(())
    });
    ada.presses("C-c");
    ada.is_restored();
}

/// However it ends, the person gets the terminal back.
#[test]
fn a_terminal_is_given_back_when_the_program_is_told_to_end() {
    let test = "screen::a_terminal_is_given_back_when_the_program_is_told_to_end";
    let _alone = alone();
    if !has_tool("tmux") {
        return skip(test, "tmux is missing");
    }
    let data = tempfile::tempdir().expect("a temporary folder");
    let terminals = Terminals::of(80, 24);
    let ada = terminals.open("ada");
    let pid = data.path().join("pid");
    ada.runs(&format!(
        "sh -c 'echo $$ > \"{}\"; exec {}'",
        pid.display(),
        program("create", "Ada", data.path()).replace('\'', "\"")
    ));
    ada.wait_for("the whole link", PATIENCE, link_on);
    let pid = std::fs::read_to_string(pid).expect("the shell wrote its process id");
    assert!(Command::new("kill").args(["-TERM", pid.trim()]).status().expect("kill runs").success());
    ada.is_restored();
}

/// Keeps one processor busy until it is dropped.
struct Busy(Child);

impl Busy {
    fn on(processor: &str) -> Self {
        Self(
            Command::new("taskset")
                .args(["-c", processor, "sh", "-c", "while :; do :; done"])
                .spawn()
                .expect("taskset"),
        )
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// From the key to what is drawn for it, while seven others speak, their programs on this machine too, and one processor is busy with something else.
#[test]
#[ignore = "a measurement: a minute of the whole machine"]
fn measure_how_soon_a_key_press_is_seen() {
    /// From here on it feels slow to who types.
    const MEDIAN: Duration = Duration::from_millis(30);
    const NAMES: [&str; 7] = ["Bo", "Cy", "Di", "Eve", "Flo", "Gus", "Hal"];
    let test = "screen::measure_how_soon_a_key_press_is_seen";
    let _alone = alone();
    if !has_tool("tmux") || !has_tool("taskset") {
        return skip(test, "tmux or taskset is missing");
    }
    let Some(prompts) = sound::prompts() else {
        return skip(test, "the recorded prompts (package alsa-utils) are missing");
    };
    let data = tempfile::tempdir().expect("a temporary folder");
    let terminals = Terminals::of(80, 24);
    let ada = terminals.open("ada");
    ada.runs(&program("create", "Ada", data.path()));
    let link = ada.wait_for("the whole link", PATIENCE, link_on);
    let speaks = |(n, name): (usize, &&str)| {
        let file = data.path().join(format!("{name}.wav"));
        sound::write(&file, &sound::speech(&prompts, n, 20));
        Launch::join(name, &link).by_link_only().repeats(&file).start()
    };
    let others: Vec<Resonance> = NAMES.iter().enumerate().map(speaks).collect();
    for other in &others {
        other.hears("Ada", 4 * PATIENCE);
    }
    ada.shows("8 people", PATIENCE);
    ada.presses("Enter");
    let _busy = Busy::on("0");
    let mut watched = ada.watched();
    std::thread::sleep(Duration::from_secs(5));
    // Letters that are nowhere else on the screen, at moments that have nothing to do with those of its pictures.
    let mut times: Vec<Duration> = ('А'..='ѳ')
        .enumerate()
        .map(|(n, letter)| {
            std::thread::sleep(Duration::from_millis(150 + (n as u64 * 37) % 100));
            watched.time_until_seen(letter, PATIENCE)
        })
        .collect();
    times.sort();
    let (median, most) = (times[times.len() / 2], times[times.len() * 95 / 100]);
    say(&format!(
        "{test}: {} keys, each seen after {:.1} ms (median), {:.1} ms (95th percentile)",
        times.len(),
        median.as_secs_f64() * 1e3,
        most.as_secs_f64() * 1e3
    ));
    for person in others {
        person.quit();
    }
    assert!(median <= MEDIAN, "{median:?}");
}
