//! What is tried while nobody has answered yet, in words: whoever waits wants to know for what, and for how long.

use crate::cli::Common;
use crate::session::view::{Seeking, WayIn};

/// A line for each way in, the time first.
pub fn lines(seeking: &Seeking, common: &Common) -> Vec<String> {
    let none = WayIn { via: "", found: 0, connected: 0, failures: 0 };
    let way = |via: &str| seeking.ways.iter().find(|way| way.via == via).unwrap_or(&none);
    let (elapsed, left) = (seeking.elapsed.as_secs(), seeking.left.as_secs());
    let mut lines = vec![format!("{elapsed} s so far; given up in {left} s."), String::new()];
    lines.push(match seeking.hints {
        0 => "The link has no addresses.".to_owned(),
        1 => format!("The address in the link: {}", dialled(way("hint"))),
        hints => format!("The {hints} addresses in the link: {}", dialled(way("hint"))),
    });
    if !(common.no_mdns || common.no_direct) {
        lines.push(format!("This network: {}", found(way("mdns"))));
    }
    if !(common.no_dht || common.no_direct) {
        lines.push(format!("The public network (DHT): {}", found(way("dht"))));
    }
    if way("member").found > 0 {
        lines.push(format!("Through members: {}", found(way("member"))));
    }
    if seeking.relayed {
        lines.push("Reached through others; a direct way is tried (hole punching).".to_owned());
    }
    if seeking.greeting {
        lines.push("Somebody is there: exchanging keys.".to_owned());
    }
    lines
}

fn dialled(way: &WayIn) -> String {
    match way {
        WayIn { connected: 1.., .. } => "reached.".to_owned(),
        WayIn { failures: 0, .. } => "being tried.".to_owned(),
        WayIn { failures: 1, .. } => "no answer, and tried again.".to_owned(),
        WayIn { failures, .. } => format!("no answer {failures} times, and tried again."),
    }
}

fn found(way: &WayIn) -> String {
    match way {
        WayIn { found: 0, .. } => "asked, nobody found yet.".to_owned(),
        WayIn { found, connected: 0, .. } => format!("{found} found, being tried."),
        WayIn { found, connected, .. } => format!("{found} found, {connected} reached."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::Parser;
    use std::time::Duration;

    #[test]
    fn what_is_tried_is_said_and_nothing_that_is_not() {
        let way = |via, found, connected, failures| WayIn { via, found, connected, failures };
        let seeking = Seeking {
            elapsed: Duration::from_secs(7),
            left: Duration::from_secs(23),
            hints: 3,
            ways: vec![way("hint", 1, 0, 2), way("mdns", 0, 0, 0), way("dht", 2, 1, 0)],
            greeting: true,
            relayed: true,
        };
        let told = |arguments: &[&str]| {
            let cli = Cli::try_parse_from([&["resonance"], arguments].concat()).expect("a command line");
            // Where the tests run the environment may have switched it off.
            let no_dht = arguments.contains(&"--no-dht");
            lines(&seeking, &Common { no_dht, ..cli.common })
        };
        let all = [
            "7 s so far; given up in 23 s.",
            "",
            "The 3 addresses in the link: no answer 2 times, and tried again.",
            "This network: asked, nobody found yet.",
            "The public network (DHT): 2 found, 1 reached.",
            "Reached through others; a direct way is tried (hole punching).",
            "Somebody is there: exchanging keys.",
        ];
        assert_eq!(told(&[]), all);
        let quiet = told(&["--no-mdns", "--no-dht"]);
        assert!(!quiet.iter().any(|line| line.contains("network:") || line.contains("DHT")), "{quiet:?}");
    }
}
