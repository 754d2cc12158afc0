//! The command line: what can be asked for, and how it is explained.

use crate::audio::format::PacketTime;
use crate::audio::{Acoustics, EarsChoice, HrtfChoice, InputChoice, OutputChoice, VoiceEngine, VoiceMode};
use crate::helper::DEFAULT_TURN_PORT;
use clap::{Args, Parser, Subcommand};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Talk with a few people, end-to-end encrypted, each voice standing somewhere in space. No server, no account.
#[derive(Parser)]
#[command(
    version,
    max_term_width = 100,
    after_help = "Try it:\n  resonance create            make a session; send the printed link to your friends\n  \
                  resonance join 'LINK'       join with the link that you were sent\n  \
                  resonance lan               talk with everyone who does the same on this network\n\n\
                  Without a command a screen opens that offers the same."
)]
pub struct Cli {
    /// What to do; without it the start screen opens.
    #[command(subcommand)]
    pub action: Option<Action>,
    /// Options of the start screen.
    #[command(flatten)]
    pub common: Common,
}

/// What to do.
#[derive(Subcommand)]
pub enum Action {
    /// Make a session and print its link
    Create {
        /// Put no addresses into the link: it is found on this network, and by the DHT
        #[arg(long)]
        no_hints: bool,
        /// How long the link takes new people in: 30m, 2h, 1d … [default: for ever]
        #[arg(long, value_name = "TIME", value_parser = lifetime)]
        expires: Option<Duration>,
        /// Options that every session takes.
        #[command(flatten)]
        common: Common,
    },
    /// Join a session by its link
    Join {
        /// The link, also inside other text; `-` reads it from standard input
        #[arg(allow_hyphen_values = true)]
        link: String,
        /// Options that every session takes.
        #[command(flatten)]
        common: Common,
    },
    /// Talk on this network, without a link: open to everyone on it
    Lan {
        /// Name of the room
        #[arg(long, default_value = "lobby")]
        room: String,
        /// Options that every session takes.
        #[command(flatten)]
        common: Common,
    },
    /// Keep one identity over many sessions, sealed under a passphrase (by default each session has a new one)
    Identity {
        /// What to do with it.
        #[command(subcommand)]
        what: IdentityAction,
    },
    /// Run a helper: a relay and meeting place for people who cannot reach each other directly
    ///
    /// It joins no session and sees addresses and sealed bytes only. It is a DHT server, a circuit relay and a STUN and TURN server
    /// in one. On a terminal it prints what others write behind --helper, otherwise JSON lines.
    Helper(HelperOptions),
    /// Say what of the network and the sound works here, what that means, and what to do
    ///
    /// Opens nothing and changes nothing. With --helper it also says what kind of NAT stands between you and the world. Exit code 1
    /// when something does not work.
    Doctor(DoctorOptions),
    /// List microphones and speakers
    Devices,
    /// Ask a session that is running: any command of it (mute, say hello, volume Bo -6 …), `ptt on|off|toggle`, or `state`
    Ctl(Ctl),
    /// Look at the settings, or write a file of them to begin with
    Config {
        /// What to do with them.
        #[command(subcommand)]
        what: ConfigAction,
    },
    /// Print what makes a shell complete the command line: `resonance completions bash > ~/.local/share/bash-completion/completions/resonance`
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the man page: `resonance man | man -l -`
    Man,
    /// Look at links
    Link {
        /// What to do with it.
        #[command(subcommand)]
        what: LinkAction,
    },
}

/// What to do with a kept identity.
#[derive(Subcommand)]
pub enum IdentityAction {
    /// Make an identity that is kept: those who verified you once recognise you the next time
    ///
    /// Its file is sealed under a passphrase (Argon2id, ChaCha20-Poly1305) and remembers whom you have met and verified. From then
    /// on `create`, `join` and `lan` ask for the passphrase and use it, unless --ephemeral is given. Whoever forgets the passphrase
    /// has lost the identity: keep a copy with `identity export`.
    Create {
        /// Your name, as the others see it
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// Where it is, and how it opens.
        #[command(flatten)]
        kept: Kept,
    },
    /// Tell your name, your key's fingerprint and whom you have met
    Show {
        /// Where it is, and how it opens.
        #[command(flatten)]
        kept: Kept,
    },
    /// Copy the sealed file, to keep elsewhere or to take to another machine
    Export {
        /// Where to; a file that is there already is left as it is
        #[arg(value_name = "FILE")]
        to: PathBuf,
        /// Folder for what is kept between sessions
        #[arg(long, value_name = "DIR")]
        data_dir: Option<PathBuf>,
    },
    /// Take in a copy that `export` made
    Import {
        /// The copy
        #[arg(value_name = "FILE")]
        from: PathBuf,
        /// Also when there is an identity already; that one is set aside under another name
        #[arg(long)]
        replace: bool,
        /// Where it goes, and how it opens.
        #[command(flatten)]
        kept: Kept,
    },
    /// Remove your identity, everything that was set aside, and all that it remembers
    Forget {
        /// Without asking
        #[arg(long)]
        yes: bool,
        /// Folder for what is kept between sessions
        #[arg(long, value_name = "DIR")]
        data_dir: Option<PathBuf>,
    },
}

/// What the doctor looks at.
#[derive(Args, Clone)]
pub struct DoctorOptions {
    /// Helper to try; repeatable; two show the kind of NAT best
    #[arg(long, value_name = "MULTIADDR")]
    pub helper: Vec<String>,
    /// Server of the DHT, or member, to try; repeatable [default: the entrances of the public network]
    #[arg(long, value_name = "MULTIADDR")]
    pub bootstrap: Vec<String>,
    /// Leave the public network (Kademlia DHT) alone
    #[arg(long, env = "RESONANCE_NO_DHT", value_parser = clap::builder::FalseyValueParser::new())]
    pub no_dht: bool,
    /// One JSON object on standard output instead of text
    #[arg(long)]
    pub json: bool,
}

/// How to run a helper.
#[derive(Args, Clone)]
pub struct HelperOptions {
    /// Address to listen at; repeatable; add /ip4/0.0.0.0/tcp/443 for people behind strict firewalls
    /// [default: port 4001, TCP and QUIC, on all interfaces]
    #[arg(long, value_name = "MULTIADDR")]
    pub listen: Vec<String>,
    /// UDP port of STUN and TURN, on the same addresses; relayed media uses other UDP ports, too
    #[arg(long, value_name = "PORT", default_value_t = DEFAULT_TURN_PORT)]
    pub turn_port: u16,
    /// IP address at which others reach this machine, if it is another than its own; repeatable
    #[arg(long, value_name = "IP")]
    pub announce: Vec<IpAddr>,
    /// Address of another helper to share a DHT with; repeatable
    #[arg(long, value_name = "MULTIADDR")]
    pub bootstrap: Vec<String>,
    /// Serve figures for Prometheus over HTTP at this address [with no address given: 127.0.0.1:9464]
    #[arg(long, value_name = "IP:PORT", num_args = 0..=1, default_missing_value = "127.0.0.1:9464")]
    pub metrics: Option<SocketAddr>,
    /// JSON lines on standard output, on a terminal, too
    #[arg(long)]
    pub headless: bool,
    /// Write a log to this file (addresses are left out of it)
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// Folder for the helper's key, which is part of its address
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// End by itself after this many seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub duration: Option<Duration>,
}

/// Where a kept identity is, and how it opens.
#[derive(Args, Clone)]
pub struct Kept {
    /// File whose first line is the passphrase [default: asked for, or the first line of standard input]
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// Folder for what is kept between sessions
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// What to ask a running session.
#[derive(Args, Clone)]
pub struct Ctl {
    /// Its process id, where several are running
    #[arg(long, value_name = "PID")]
    pub pid: Option<u32>,
    /// Folder that it keeps things in, if it was started with one
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// A command, `ptt on`, `ptt off`, `ptt toggle`, or `state`
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub words: Vec<String>,
}

/// What to do with the settings.
#[derive(Subcommand)]
pub enum ConfigAction {
    /// Write a file with every setting as it comes, each explained; a file that is there already is left as it is
    Init {
        /// Which file.
        #[command(flatten)]
        place: ConfigPlace,
    },
    /// Tell what is set, where that is kept, and what is wrong there
    Show {
        /// Which file.
        #[command(flatten)]
        place: ConfigPlace,
    },
}

/// Which file of settings is meant.
#[derive(Args, Clone)]
pub struct ConfigPlace {
    /// File with the settings [default: config.toml in --data-dir, else in ~/.config/resonance]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder for what is kept between sessions
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// What to do with a link.
#[derive(Subcommand)]
pub enum LinkAction {
    /// Say what a link contains, without using it
    Inspect {
        /// The link, also inside other text; `-` reads it from standard input
        #[arg(allow_hyphen_values = true)]
        link: String,
    },
}

/// Options that every session takes.
#[derive(Args, Clone)]
pub struct Common {
    /// Your name, as the others see it
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// No screen: events as JSON lines on standard output, commands as lines on standard input
    #[arg(long)]
    pub headless: bool,
    /// No drawing: sentences a line each, commands as lines; for screen readers and terminals that cannot draw (TERM=dumb does the same)
    #[arg(long, conflicts_with = "headless")]
    pub plain: bool,
    /// Microphone: default, a device, wav:FILE, wav-loop:FILE, tone:HZ, silence [default: as set, else default]
    #[arg(long, value_name = "SRC")]
    pub input: Option<InputChoice>,
    /// Speaker: default, a device, wav:FILE, wav-per-peer:DIR, null [default: as set, else default]
    #[arg(long, value_name = "DST")]
    pub output: Option<OutputChoice>,
    /// Echo cancelling, noise suppression and gain: on, off, auto (on for devices, off for files), or music (off, in stereo, 128 kb/s) [default: as set, else auto]
    #[arg(long, value_name = "MODE")]
    pub voice: Option<VoiceMode>,
    /// What does that: sonora, or webrtc where that is built in [default: as set, else sonora]
    #[arg(long, value_name = "ENGINE")]
    pub voice_engine: Option<VoiceEngine>,
    /// Sound in a packet: 2.5, 5, 10 or 20 ms; shorter is sooner heard and takes more of the network [default: as set, else 10]
    #[arg(long, value_name = "MS")]
    pub frame_ms: Option<PacketTime>,
    /// Send next to nothing while you are silent; whoever watches the network then sees when you speak [default: as set, else off]
    #[arg(long)]
    pub dtx: bool,
    /// What you listen with: headphones, speakers, or auto (as the device says, else headphones) [default: as set, else auto]
    #[arg(long, value_name = "EARS")]
    pub ears: Option<EarsChoice>,
    /// The room that voices stand in, in headphones: off, small, hall [default: as set, else off]
    #[arg(long, value_name = "ROOM")]
    pub acoustics: Option<Acoustics>,
    /// Whose ears you hear with: default, a SOFA file, or steam-audio where that is built in [default: as set, else default]
    #[arg(long, value_name = "FILE")]
    pub hrtf: Option<HrtfChoice>,
    /// Address to listen at, as a multiaddr such as /ip4/0.0.0.0/udp/4001/quic-v1; repeatable [default: all, any port]
    #[arg(long, value_name = "MULTIADDR")]
    pub listen: Vec<String>,
    /// Address of a member, or of a node to enter the DHT by (in place of the public ones); repeatable
    #[arg(long, value_name = "MULTIADDR")]
    pub bootstrap: Vec<String>,
    /// Address of a helper (`resonance helper`), through whom others reach me when nothing else works; repeatable
    #[arg(long, value_name = "MULTIADDR")]
    pub helper: Vec<String>,
    /// Never show my address to the others: go through --helper only
    #[arg(long, conflicts_with = "listen")]
    pub no_direct: bool,
    /// Do not look for or show yourself to others on this network
    #[arg(long)]
    pub no_mdns: bool,
    /// Do not tell who asks on this network the name of the LAN room you are in [default: as set, else it is told]
    #[arg(long)]
    pub unlisted: bool,
    /// Do not meet by the public network (Kademlia DHT), and ask no router to let others in
    #[arg(long, env = "RESONANCE_NO_DHT", value_parser = clap::builder::FalseyValueParser::new())]
    pub no_dht: bool,
    /// Write a log to this file (addresses are left out of it)
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// Go by a new identity for this session only, also when one is kept
    #[arg(long)]
    pub ephemeral: bool,
    /// File whose first line opens the kept identity [default: the passphrase is asked for]
    #[arg(long, value_name = "FILE", conflicts_with = "ephemeral")]
    pub passphrase_file: Option<PathBuf>,
    /// File with the settings [default: config.toml in --data-dir, else in ~/.config/resonance]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder for what is kept between sessions (your settings, your identity if you keep one, your last sessions if you want them remembered)
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Leave by itself after this many seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub duration: Option<Duration>,
}

/// A number and its unit: s, m, h, d.
fn lifetime(text: &str) -> Result<Duration, String> {
    /// Longer than any call: beyond that a link may as well last for ever.
    const MAX: u64 = 10 * 365 * 86_400;
    let usage = || "not a time such as 30m, 2h or 1d".to_owned();
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3_600,
        Some('d') => 86_400,
        _ => return Err(usage()),
    };
    let count: u64 = text[..text.len() - 1].parse().map_err(|_| usage())?;
    match count.checked_mul(unit) {
        Some(seconds @ 1..=MAX) => Ok(Duration::from_secs(seconds)),
        _ => Err("must be between 1s and ten years".to_owned()),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|_| "must be between 0 and a few centuries of seconds".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed_and_explained() {
        Cli::command().debug_assert();
        let help = Cli::command().render_long_help().to_string();
        for word in [
            "create",
            "join",
            "lan",
            "identity",
            "helper",
            "doctor",
            "devices",
            "config",
            "link",
            "--headless",
            "--plain",
            "--input",
            "--ephemeral",
            "--no-direct",
            "--no-dht",
            "--helper",
            "--passphrase-file",
        ] {
            assert!(help.contains(word), "{word} is missing from:\n{help}");
        }
    }

    #[test]
    fn options_are_understood() {
        let cli =
            Cli::try_parse_from(["resonance", "lan", "--room", "den", "--duration", "2.5", "--input", "tone:440"]);
        let Some(Action::Lan { room, common }) = cli.ok().and_then(|cli| cli.action) else { panic!("lan") };
        assert_eq!((room.as_str(), common.duration), ("den", Some(Duration::from_millis(2_500))));
        assert!(Cli::try_parse_from(["resonance", "join"]).is_err(), "join wants a link");
        let lives = |text: &str| lifetime(text).ok().map(|span| span.as_secs());
        assert_eq!(["90s", "30m", "2h", "1d"].map(lives), [90, 1_800, 7_200, 86_400].map(Some));
        for wrong in ["", "2", "h", "0m", "-1h", "2 h", "1w", "2µ", "99999999999999999999d", "9999999d"] {
            assert_eq!(lives(wrong), None, "{wrong}");
        }
        assert!(Cli::try_parse_from(["resonance", "lan", "--duration", "-1"]).is_err());
    }
}
