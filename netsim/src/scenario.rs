//! What a scenario file says (TOML): a topology, who does what when, and what must come of it. README.md explains each field with examples.

use crate::topology::{HostSpec, NetworkSpec, Topology};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// A scenario.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Its name; the file's, if it does not say.
    #[serde(default)]
    pub name: String,
    /// A sentence about it.
    #[serde(default)]
    pub about: String,
    /// What happens by chance in the network is determined by this.
    #[serde(default = "first_seed")]
    pub seed: u64,
    /// When everybody leaves, in seconds after the beginning.
    pub seconds: f64,
    /// It is over before that when all of these programs have ended by themselves.
    #[serde(default)]
    pub ends_with: Vec<String>,
    /// Networks by name.
    #[serde(default)]
    pub network: BTreeMap<String, NetworkSpec>,
    /// Hosts by name.
    #[serde(default)]
    pub host: BTreeMap<String, HostSpec>,
    /// Programs by name.
    #[serde(default)]
    pub peer: BTreeMap<String, PeerSpec>,
    /// What happens meanwhile.
    #[serde(default)]
    pub step: Vec<Step>,
    /// What must come of it.
    #[serde(default)]
    pub expect: Vec<Expect>,
}

fn first_seed() -> u64 {
    1
}

/// What a program does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Does {
    /// `resonance create`.
    Create,
    /// `resonance join` with the link of another.
    #[default]
    Join,
    /// `resonance lan`.
    Lan,
    /// `resonance helper`.
    Helper,
    /// Something else: `command`.
    Run,
}

/// A program on a host.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PeerSpec {
    /// The host it runs on; the one of its own name, if it does not say.
    pub host: Option<String>,
    /// What it does.
    pub does: Does,
    /// Whose session it joins; the first creator's, if it does not say.
    pub joins: Option<String>,
    /// When it starts, in seconds after the beginning.
    pub at: f64,
    /// Not before these programs have said something.
    pub after: Vec<String>,
    /// What it says: `speech` (default), `silence`, `tone:HZ`, `wav:FILE`, `wav-loop:FILE`.
    pub says: Option<String>,
    /// More arguments.
    pub args: Vec<String>,
    /// Programs whose multiaddrs it gets as `--bootstrap`: it starts when they have said them.
    pub bootstrap: Vec<String>,
    /// Programs whose multiaddrs it gets as `--helper`.
    pub helpers: Vec<String>,
    /// The command line of `run`. `{ip:HOST}` and `{ip2:HOST}` become a host's addresses, `{outer:NETWORK}` that of a
    /// network's router, here and in `args`; `{link:PEER}` becomes the link of somebody's session and `{multiaddr:PEER}` where somebody can be
    /// reached (the first that was said): it starts when they have said it.
    pub command: Vec<String>,
}

/// Something that happens.
#[derive(Clone, Debug, Deserialize)]
pub struct Step {
    /// When, in seconds after the beginning.
    pub at: f64,
    /// What.
    #[serde(flatten)]
    pub action: Action,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Action {
    /// A host's link, or a network's uplink, becomes another.
    Degrade {
        /// The host,
        host: Option<String>,
        /// or the network.
        network: Option<String>,
        /// A profile.
        to: String,
    },
    /// A host's link, or a network's uplink, goes down.
    Outage {
        /// The host,
        host: Option<String>,
        /// or the network.
        network: Option<String>,
    },
    /// It comes up again.
    Restore {
        /// The host,
        host: Option<String>,
        /// or the network.
        network: Option<String>,
    },
    /// A host goes into another network.
    Roam {
        /// The host.
        host: String,
        /// Where to.
        to: String,
    },
    /// A network's edge is restarted, with another outer address.
    Renumber {
        /// The network.
        network: String,
    },
    /// A network's edge forgets all mappings and keeps its address.
    Rebind {
        /// The network.
        network: String,
    },
    /// Hosts of one side hear nothing of hosts of the other.
    Partition {
        /// One side.
        of: Vec<String>,
        /// The other.
        from: Vec<String>,
    },
    /// All partitions end.
    Heal,
    /// A program is killed.
    Crash {
        /// Which.
        peer: String,
    },
    /// A program stops where it is, without ending: its connections stay, and it answers nothing.
    Freeze {
        /// Which.
        peer: String,
    },
    /// It goes on.
    Thaw {
        /// Which.
        peer: String,
    },
    /// A program gets a line on its standard input: `mute`, `unmute`, `say hello`, `quit`.
    Tell {
        /// Which.
        peer: String,
        /// The line.
        line: String,
    },
}

/// What must come of it. Of each field that is there, all pairs (or the program) named must hold it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// Whom it is about: every two of them, in both directions; all `resonance` programs of a session, if it does not say.
    pub of: Vec<String>,
    /// They are connected so many seconds after the later of both was started.
    pub connects_within: Option<f64>,
    /// Their path is this one in the end. `best`: direct where the oracle holds that possible by UDP, otherwise any.
    pub path: Option<String>,
    /// Each hears what the other says.
    pub hears: Option<Hears>,
    /// Longest silence in milliseconds while packets arrive: from each silence the time is taken off in which, at that very time, none of the speaker's did.
    pub max_silence_ms: Option<f64>,
    /// Longest silence in milliseconds, whatever the network did.
    pub max_gap_ms: Option<f64>,
    /// Largest memory (resident, at its peak) of each program named, or of all, in megabytes.
    pub max_memory_mb: Option<f64>,
    /// Least quality, as the judge given on the command line has it.
    pub min_quality: Option<f64>,
    /// The simulation itself handed ninety-nine packets in a hundred over at most so much later than due, in milliseconds.
    pub max_late_ms: Option<f64>,
    /// One of them has said this on its standard output.
    pub event: Option<EventExpect>,
    /// A program's standard output contains all of these.
    pub output: Option<OutputExpect>,
    /// It is known not to hold, and why. That it does hold is a failure then.
    pub fails: Option<String>,
}

/// Whether they hear one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hears {
    /// They do.
    Yes,
    /// They do not.
    No,
}

/// An event that must come.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EventExpect {
    /// Who says it.
    pub peer: String,
    /// Its name.
    pub event: String,
    /// Whom it is about: the `peer` field, by the name in the scenario.
    pub about: Option<String>,
    /// Fields that it must have, as text.
    pub with: BTreeMap<String, String>,
    /// Not before this, in seconds after the beginning.
    pub after: f64,
    /// Not later than this.
    pub before: Option<f64>,
}

/// Text that must be said.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutputExpect {
    /// Who says it.
    pub peer: String,
    /// What.
    pub contains: Vec<String>,
}

/// Why a scenario cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The file cannot be read.
    #[error("{0}: {1}")]
    File(String, std::io::Error),
    /// It is no such TOML.
    #[error("{0}: {1}")]
    Format(String, Box<toml::de::Error>),
    /// Something that it names is not there.
    #[error("{scenario}: {whose} names {name:?}, which is not there")]
    Nobody {
        /// Which scenario.
        scenario: String,
        /// Who names it.
        whose: String,
        /// What.
        name: String,
    },
    /// Something that it says makes no sense.
    #[error("{scenario}: {whose}: {why}")]
    Senseless {
        /// Which scenario.
        scenario: String,
        /// Who says it.
        whose: String,
        /// Why not.
        why: &'static str,
    },
}

impl Scenario {
    /// Reads a file.
    ///
    /// # Errors
    /// See [`ScenarioError`].
    pub fn read(file: &Path) -> Result<Self, ScenarioError> {
        let shown = file.display().to_string();
        let text = std::fs::read_to_string(file).map_err(|error| ScenarioError::File(shown.clone(), error))?;
        let name = file.file_stem().map_or_else(|| shown.clone(), |stem| stem.to_string_lossy().into_owned());
        Self::parse(&text, &name)
    }

    /// Reads a text; `name` is the scenario's unless it has one of its own.
    ///
    /// # Errors
    /// See [`ScenarioError`].
    pub fn parse(text: &str, name: &str) -> Result<Self, ScenarioError> {
        let mut scenario: Self =
            toml::from_str(text).map_err(|error| ScenarioError::Format(name.into(), Box::new(error)))?;
        if scenario.name.is_empty() {
            scenario.name = name.into();
        }
        scenario.check()?;
        scenario.step.sort_by(|a, b| a.at.total_cmp(&b.at));
        Ok(scenario)
    }

    /// Its topology.
    pub fn topology(&self) -> Topology {
        Topology { network: self.network.clone(), host: self.host.clone() }
    }

    /// The host that a program runs on.
    pub fn host_of<'a>(&'a self, peer: &'a str) -> &'a str {
        self.peer.get(peer).and_then(|spec| spec.host.as_deref()).unwrap_or(peer)
    }

    /// Whose session a program takes part in; `None` for those that are no part of any. Rooms of a network are named by their first member.
    pub fn session_of(&self, peer: &str) -> Option<&str> {
        let (name, spec) = self.peer.get_key_value(peer)?;
        match spec.does {
            Does::Create => Some(name),
            Does::Join => spec.joins.as_deref().or_else(|| self.first(Does::Create)),
            Does::Lan => self
                .peer
                .iter()
                .find(|(other, spec)| spec.does == Does::Lan && self.same_network(peer, other))
                .map(|(name, _)| name.as_str()),
            Does::Helper | Does::Run => None,
        }
    }

    fn same_network(&self, a: &str, b: &str) -> bool {
        let network = |peer| self.host.get(self.host_of(peer)).map(|host| &host.network);
        network(a) == network(b)
    }

    fn first(&self, does: Does) -> Option<&str> {
        self.peer.iter().find(|(_, spec)| spec.does == does).map(|(name, _)| name.as_str())
    }

    fn check(&self) -> Result<(), ScenarioError> {
        let nobody =
            |whose: String, name: &str| ScenarioError::Nobody { scenario: self.name.clone(), whose, name: name.into() };
        let senseless = |whose: String, why| ScenarioError::Senseless { scenario: self.name.clone(), whose, why };
        if !(0.0..=86_400.0).contains(&self.seconds) {
            return Err(senseless("seconds".into(), "a scenario lasts between nothing and a day"));
        }
        for (name, spec) in &self.peer {
            let whose = format!("peer {name:?}");
            if !self.host.contains_key(self.host_of(name)) {
                return Err(nobody(whose, self.host_of(name)));
            }
            let joined = spec.joins.as_deref().filter(|_| spec.does == Does::Join);
            if let Some(other) =
                joined.filter(|other| self.peer.get(*other).is_none_or(|peer| peer.does != Does::Create))
            {
                return Err(nobody(whose, other));
            }
            if let Some(other) = spec
                .after
                .iter()
                .chain(&spec.bootstrap)
                .chain(&spec.helpers)
                .find(|other| !self.peer.contains_key(*other))
            {
                return Err(nobody(whose, other));
            }
            if spec.does == Does::Join && self.session_of(name).is_none() {
                return Err(senseless(whose, "nobody creates a session that it could join"));
            }
            if (spec.does == Does::Run) == spec.command.is_empty() {
                return Err(senseless(whose, "`command` belongs to `does = \"run\"`, and only there"));
            }
        }
        for step in &self.step {
            let (hosts, networks, peers) = step.action.named();
            let whose = || format!("the step at {} s", step.at);
            let missing = hosts.iter().find(|name| !self.host.contains_key(**name));
            let missing = missing.or_else(|| peers.iter().find(|name| !self.peer.contains_key(**name)));
            let known = |name: &str| name == crate::topology::INTERNET || self.network.contains_key(name);
            if let Some(name) = missing.or_else(|| networks.iter().find(|name| !known(name))) {
                return Err(nobody(whose(), name));
            }
            let own_way_out = |name: &&str| self.network.get(*name).is_some_and(|network| network.edge != "isolated");
            let about_edge = !matches!(step.action, Action::Roam { .. });
            if about_edge && !networks.iter().all(own_way_out) {
                return Err(senseless(whose(), "that network has no router of its own"));
            }
            if let Action::Degrade { to, .. } = &step.action
                && crate::profiles::named(to).is_none()
            {
                return Err(nobody(whose(), to));
            }
            let one_place =
                matches!(step.action, Action::Degrade { .. } | Action::Outage { .. } | Action::Restore { .. });
            if one_place && hosts.len() + networks.len() != 1 {
                return Err(senseless(whose(), "it is about either a host or a network"));
            }
        }
        if let Some(name) = self.ends_with.iter().find(|name| !self.peer.contains_key(*name)) {
            return Err(nobody("ends_with".into(), name));
        }
        for expect in &self.expect {
            let event = expect.event.iter().flat_map(|event| std::iter::once(&event.peer).chain(&event.about));
            let named = expect.of.iter().chain(event).chain(expect.output.iter().map(|output| &output.peer));
            if let Some(name) = named.into_iter().find(|name| !self.peer.contains_key(*name)) {
                return Err(nobody("an expectation".into(), name));
            }
        }
        Ok(())
    }
}

impl Action {
    /// The hosts, networks and programs that it names.
    fn named(&self) -> (Vec<&str>, Vec<&str>, Vec<&str>) {
        match self {
            Self::Degrade { host, network, .. } | Self::Outage { host, network } | Self::Restore { host, network } => {
                (host.iter().map(String::as_str).collect(), network.iter().map(String::as_str).collect(), Vec::new())
            }
            Self::Roam { host, to } => (vec![host], vec![to], Vec::new()),
            Self::Renumber { network } | Self::Rebind { network } => (Vec::new(), vec![network], Vec::new()),
            Self::Partition { of, from } => {
                (of.iter().chain(from).map(String::as_str).collect(), Vec::new(), Vec::new())
            }
            Self::Heal => (Vec::new(), Vec::new(), Vec::new()),
            Self::Crash { peer } | Self::Freeze { peer } | Self::Thaw { peer } | Self::Tell { peer, .. } => {
                (Vec::new(), Vec::new(), vec![peer])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: &str = r#"
        seconds = 10
        [network.home]
        edge = "home"
        [host.ada]
        network = "home"
        link = "busy wifi"
        [host.bo]
        [peer.ada]
        does = "create"
        [peer.bo]
        at = 1.5
        [[step]]
        at = 4
        do = "degrade"
        host = "ada"
        to = "lte"
        [[step]]
        at = 2
        do = "heal"
        [[expect]]
        connects_within = 3
        hears = "yes"
    "#;

    #[test]
    fn a_scenario_is_read() {
        let scenario = Scenario::parse(SOUND, "example").expect("it is sound");
        assert_eq!((scenario.name.as_str(), scenario.seed), ("example", 1));
        assert_eq!(scenario.session_of("bo"), Some("ada"));
        assert_eq!(scenario.step.iter().map(|step| step.at).collect::<Vec<_>>(), [2.0, 4.0], "in the order of time");
        assert!(crate::topology::Plan::new(&scenario.topology()).is_ok());
    }

    #[test]
    fn mistakes_are_named() {
        for (from, to, word) in [
            ("seconds = 10", "", "seconds"),
            ("do = \"heal\"", "do = \"dance\"", "dance"),
            ("host = \"ada\"", "host = \"eve\"", "eve"),
            ("host = \"ada\"", "", "either a host or a network"),
            ("[peer.bo]", "[peer.cy]", "cy"),
            ("does = \"create\"", "", "nobody creates"),
            ("hears = \"yes\"", "heard = \"yes\"", "heard"),
            ("to = \"lte\"", "to = \"pigeon\"", "pigeon"),
            ("host = \"ada\"", "network = \"internet\"", "no router"),
            ("hears = \"yes\"", "of = [\"eve\"]", "eve"),
            ("at = 1.5", "command = [\"true\"]", "command"),
            ("at = 1.5", "helpers = [\"eve\"]", "eve"),
        ] {
            let error = Scenario::parse(&SOUND.replace(from, to), "example").expect_err(word).to_string();
            assert!(error.contains(word), "{error}");
        }
        let scenario =
            Scenario::parse(&SOUND.replace("busy wifi", "busy bees"), "example").expect("links are checked later");
        let error = crate::topology::Plan::new(&scenario.topology()).expect_err("no such profile").to_string();
        assert!(error.contains("busy bees") && error.contains("transcontinental"), "{error}");
    }
}
