//! What crosses the wire tells nothing but that two machines talk, and a link that is not whole opens nothing.

use crate::support::namespaces::{Host, Network, with_namespaces};
use crate::support::process::{Launch, run};
use crate::support::{alone, has_tool, python, say, skip};
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

const TEXT: &str = "meet me by the blue gate at noon";

/// Everything that a machine between the two sees, while it is watched.
struct Capture {
    child: Child,
    folder: tempfile::TempDir,
}

impl Capture {
    fn on(host: &Host) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut child = host
            .command("python3")
            .arg(python::script("capture.py"))
            .arg(folder.path().join("frames"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped"))
            .read_line(&mut line)
            .expect("the capture says when it is ready");
        assert_eq!(line.trim(), "ready");
        Self { child, folder }
    }

    fn frames(mut self) -> Vec<Vec<u8>> {
        // The end of its input tells it to stop.
        drop(self.child.stdin.take());
        assert!(self.child.wait().expect("it can be waited for").success(), "the capture ended well");
        let bytes = std::fs::read(self.folder.path().join("frames")).expect("the captured frames");
        let (mut rest, mut frames) = (&bytes[..], Vec::new());
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let (frame, after) = after.split_at(u32::from_be_bytes(*length) as usize);
            frames.push(frame.to_vec());
            rest = after;
        }
        frames
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // Ended already when its frames were taken.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn found<'a>(secrets: &'a [(&'static str, Vec<u8>)], frames: &[Vec<u8>]) -> Vec<&'a str> {
    let holds = |frame: &Vec<u8>, secret: &[u8]| frame.windows(secret.len()).any(|window| window == secret);
    secrets
        .iter()
        .filter(|(_, secret)| frames.iter().any(|frame| holds(frame, secret)))
        .map(|(what, _)| *what)
        .collect()
}

#[test]
fn nothing_readable_crosses_the_wire() {
    let test = "secrecy::nothing_readable_crosses_the_wire";
    let _alone = alone();
    if !has_tool("python3") {
        return skip(test, "python3 is missing");
    }
    with_namespaces(test, || {
        let network = Network::of(2);
        let capture = Capture::on(&network.switch);
        let (ada_name, bo_name) = ("Ada of the Blue Gate", "Bo of the Red Bridge");
        let mut ada = Launch::create(ada_name).on(&network.hosts[0]).argument("--no-dht").input("tone:440").start();
        let link = ada.link();
        let mut bo = Launch::join(bo_name, &link).on(&network.hosts[1]).argument("--no-dht").start();
        let (bo_at_ada, ada_at_bo) = (ada.meets(bo_name, PATIENCE), bo.meets(ada_name, PATIENCE));
        ada.hears(bo_name, PATIENCE);
        bo.hears(ada_name, PATIENCE);
        ada.command(&format!("say {TEXT}"));
        bo.wait_for("the text", PATIENCE, |event| event.kind() == "text" && event.text("body") == TEXT);
        std::thread::sleep(Duration::from_secs(2));
        ada.command("mute");
        bo.command("mute");
        std::thread::sleep(Duration::from_secs(2));
        bo.quit();
        ada.quit();
        let frames = capture.frames();

        let bytes = base58(link.strip_prefix("resonance:").expect("the link's scheme"));
        let mut secrets = vec![
            ("Ada's name", ada_name.as_bytes().to_vec()),
            ("Bo's name", bo_name.as_bytes().to_vec()),
            ("the text", TEXT.as_bytes().to_vec()),
            ("the link", link.as_bytes()[10..50].to_vec()),
            ("the link's authority hash", bytes[42..58].to_vec()),
            ("the link's secret", bytes[58..74].to_vec()),
            ("the safety number", bo_at_ada.text("safety_number").as_bytes().to_vec()),
            ("the safety number's digits", bo_at_ada.text("safety_number").replace(' ', "").into_bytes()),
        ];
        for (what, fingerprint) in
            [("Bo's identity", bo_at_ada.text("identity")), ("Ada's identity", ada_at_bo.text("identity"))]
        {
            secrets.push((what, fingerprint.as_bytes().to_vec()));
            secrets.push((what, hexadecimal(fingerprint)));
        }
        assert!(secrets.iter().all(|(_, secret)| secret.len() >= 16), "each is long enough not to be found by chance");
        assert_eq!(found(&secrets, &frames), Vec::<&str>::new(), "readable on the wire");

        let media = media_payloads(&frames);
        let mut lengths: Vec<usize> = media.iter().map(Vec::len).collect();
        lengths.sort_unstable();
        lengths.dedup();
        say(&format!("{test}: {} frames, {} of them media, of {lengths:?} bytes", frames.len(), media.len()));
        assert!(media.len() > 600, "four seconds of sound in both directions were captured: {}", media.len());
        // Silence and a steady tone are the same few Opus packets again and again: in the clear they would repeat.
        assert_eq!(repeats(&media), 0, "two media packets share eight bytes in a row");

        the_same_search_finds_what_is_in_the_clear(&network, &secrets);
    });
}

/// The control: a search that finds nothing must be able to find.
fn the_same_search_finds_what_is_in_the_clear(network: &Network, secrets: &[(&'static str, Vec<u8>)]) {
    let capture = Capture::on(&network.switch);
    let program = "import socket, sys\nwire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
                   for secret in sys.argv[2:]: wire.sendto(b'before ' + bytes.fromhex(secret) + b' after', (sys.argv[1], 9))";
    let mut send = network.hosts[0].command("python3");
    send.args(["-c", program, &network.hosts[1].address]);
    send.args(secrets.iter().map(|(_, secret)| secret.iter().map(|byte| format!("{byte:02x}")).collect::<String>()));
    assert!(send.status().expect("python3 runs").success());
    std::thread::sleep(Duration::from_millis(300));
    let everything: Vec<&str> = secrets.iter().map(|(what, _)| *what).collect();
    assert_eq!(found(secrets, &capture.frames()), everything, "what is sent in the clear is found");

    let unsealed = |sequence: u8| {
        let rtp = [vec![0x80, 111, 0, sequence, 0, 0, 0, 0, 0, 0, 0, 7], (0..80).collect()].concat();
        [vec![0; 12], vec![8, 0, 0x45], vec![0; 8], vec![17], vec![0; 10], vec![0; 8], rtp].concat()
    };
    assert!(
        repeats(&media_payloads(&[unsealed(1), unsealed(2)])) > 0,
        "an unsealed packet that comes twice is noticed"
    );
}

/// What RTP packets carry behind their headers: the whole payload as the wire shows it. Frames that pass the switch are seen at each of its ports; one copy counts.
fn media_payloads(frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut last = HashMap::new();
    frames
        .iter()
        .filter_map(|frame| {
            let rtp = udp_payload(frame)?;
            // Not RTCP, and not QUIC's handshake either, which sometimes clears the bit that would tell it from RTP (RFC 9287):
            // its second byte, the version's first, is 0, and the payload types of sound are dynamic ones (RFC 3551, section 6).
            let is_rtp = rtp.len() > 40 && rtp[0] >> 6 == 2 && (96..=127).contains(&(rtp[1] & 0x7f));
            let sequence = is_rtp.then(|| (rtp[8..12].to_vec(), rtp[2..4].to_vec()))?;
            let mut header = 12 + 4 * usize::from(rtp[0] & 0x0f);
            if rtp[0] & 0x10 != 0 {
                header += 4 + 4 * usize::from(u16::from_be_bytes([*rtp.get(header + 2)?, *rtp.get(header + 3)?]));
            }
            let copy = last.insert(sequence, rtp.to_vec()).is_some_and(|before| before == rtp);
            (!copy).then(|| rtp.get(header..).map(<[u8]>::to_vec)).flatten()
        })
        .collect()
}

fn udp_payload(frame: &[u8]) -> Option<&[u8]> {
    let ip = frame.get(14..)?;
    let (protocol, header) = match frame.get(12..14)? {
        [0x08, 0x00] => (*ip.get(9)?, 4 * usize::from(ip.first()? & 0x0f)),
        [0x86, 0xdd] => (*ip.get(6)?, 40),
        _ => return None,
    };
    // Multicast DNS is public by nature, and its random first bytes may look like RTP's.
    let is_mdns = ip.get(header + 2..header + 4)? == 5353_u16.to_be_bytes();
    if protocol == 17 && !is_mdns { ip.get(header + 8..) } else { None }
}

/// How many runs of eight bytes occur in more than one payload. By chance: once in a hundred million captures of this size.
fn repeats(payloads: &[Vec<u8>]) -> usize {
    let mut seen = HashMap::new();
    let mut repeated = 0;
    for (index, payload) in payloads.iter().enumerate() {
        for window in payload.windows(8) {
            if *seen.entry(window.to_vec()).or_insert(index) != index {
                repeated += 1;
            }
        }
    }
    repeated
}

const ALPHABET: &str = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

fn base58(text: &str) -> Vec<u8> {
    let mut bytes: Vec<u8> = Vec::new();
    for digit in text.chars() {
        let mut carry = ALPHABET.find(digit).expect("base58");
        for byte in bytes.iter_mut().rev() {
            carry += usize::from(*byte) * 58;
            *byte = (carry & 0xff) as u8;
            carry >>= 8;
        }
        while carry > 0 {
            bytes.insert(0, (carry & 0xff) as u8);
            carry >>= 8;
        }
    }
    let zeros = text.chars().take_while(|digit| *digit == '1').count();
    [vec![0; zeros], bytes].concat()
}

fn hexadecimal(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks_exact(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}

/// One wrong character anywhere in the link is noticed before anything is dialled.
#[test]
fn a_link_with_one_wrong_character_is_refused_in_words() {
    let ada = Launch::create("Ada").by_link_only().start();
    let link = ada.link();
    assert_eq!(run(&["link", "inspect", &link], PATIENCE).code, Some(0), "the link itself is good");
    let start = "resonance:".len();
    let altered = |at: usize, by: usize| {
        let digit = ALPHABET.find(&link[at..=at]).expect("base58");
        let other = (digit + by) % ALPHABET.len();
        format!("{}{}{}", &link[..at], &ALPHABET[other..=other], &link[at + 1..])
    };
    for at in (start..link.len()).step_by(3) {
        run(&["link", "inspect", &altered(at, 1 + at % 57)], PATIENCE).refused_with(&[2], false);
    }
    for at in [start, link.len() / 2, link.len() - 1] {
        run(&["join", &altered(at, 1), "--headless", "--no-dht", "--no-mdns"], PATIENCE).refused_with(&[2], true);
    }
    for strange in ["0", "O", "I", "l", "é", "\u{202e}"] {
        let link = format!("{}{strange}{}", &link[..40], &link[41..]);
        run(&["join", &link, "--headless", "--no-dht", "--no-mdns"], PATIENCE).refused_with(&[2], true);
    }
    assert!(ada.events("peer_joined").is_empty(), "nobody came in");
    ada.quit();
}

#[test]
fn a_link_that_was_cut_short_is_refused_in_words() {
    let ada = Launch::create("Ada").by_link_only().start();
    let link = ada.link();
    for length in [0, 5, "resonance:".len(), "resonance:".len() + 1, 40, link.len() / 2, link.len() - 1] {
        run(&["join", &link[..length], "--headless", "--no-dht", "--no-mdns"], PATIENCE).refused_with(&[2], true);
    }
    let last = run(&["link", "inspect", &link[..link.len() - 4]], PATIENCE);
    last.refused_with(&[2], false);
    ada.quit();
}

/// Nobody is at home behind the link of a session that has ended; and whoever runs another session does not answer for it.
#[test]
fn a_link_of_another_session_is_answered_by_nobody() {
    let mut gone = Launch::create("Gone").by_link_only().start();
    let link = gone.link();
    gone.kill();
    let living = Launch::create("Ada").by_link_only().start();
    let listening = living.wait_for("an address", PATIENCE, |event| {
        event.kind() == "listening" && event.text("addr").contains("/127.0.0.1/")
    });
    let address = listening.text("addr").to_owned();
    let quiet = ["--headless", "--no-dht", "--no-mdns", "--input", "silence", "--output", "null"];
    let outcomes = std::thread::scope(|scope| {
        let nobody = scope.spawn(|| run(&[&["join", &link][..], &quiet].concat(), Duration::from_secs(45)));
        let stranger = scope
            .spawn(|| run(&[&["join", &link, "--bootstrap", &address][..], &quiet].concat(), Duration::from_secs(45)));
        [nobody.join().expect("no panic"), stranger.join().expect("no panic")]
    });
    outcomes[0].refused_with(&[3], true);
    outcomes[1].refused_with(&[3, 4], true);
    assert!(living.events("peer_joined").is_empty(), "the other session has no new member");
    living.quit();
}
