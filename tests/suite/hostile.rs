//! Neighbours that nobody wants: the call goes on, and nobody's memory grows for them.

use crate::support::simulation::{HELPER, can_run, packets, play, two_networks};
use crate::support::turn::allocate;
use crate::support::{alone, attempts, javascript, skip};
use resonance::network::probe;
use resonance::network::turn::Credentials;
use serde_json::Value;
use std::io::Write;
use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};

/// What one program may take at its peak, in megabytes, whoever floods it: about twice what it takes in peace.
const MEMORY_MB: f64 = 120.0;

/// Two hundred strangers say under the session's own key that they belong to it (somebody has passed the link on), and answer when they are called. The
/// two who do belong to it find one another nevertheless.
#[test]
fn two_hundred_false_members_in_the_hash_table_keep_nobody_from_meeting() {
    let test = "hostile::two_hundred_false_members_in_the_hash_table_keep_nobody_from_meeting";
    let _alone = alone();
    if !can_run(test) {
        return;
    }
    let Some([node, nodes, hostile]) = javascript::installed() else {
        return skip(test, "Node and js-libp2p (scripts/setup.sh test) are missing");
    };
    let text = format!(
        r#"
seconds = 150
ends_with = ["clock"]
[host.js]
link = "fibre"
[host.crowd]
link = "fibre"
{}[peer.js]
does = "run"
command = ["{}", "{}", "{{ip:js}}", "3"]
[peer.ada]
does = "create"
at = 4
args = ["--no-mdns", "--no-hints"]
bootstrap = ["js"]
[peer.crowd]
does = "run"
at = 6
command = ["{}", "{}", "providers", "{{ip:crowd}}", "{{link:ada}}", "200", "{{multiaddr:js}}"]
[peer.bo]
after = ["crowd"]
args = ["--no-mdns"]
bootstrap = ["js"]
[peer.clock]
host = "js"
after = ["crowd"]
does = "run"
command = ["sleep", "20"]
[[expect]]
output = {{ peer = "crowd", contains = ["200 strangers say that they are members"] }}
[[expect]]
of = ["ada", "bo"]
connects_within = 20
hears = "yes"
[[expect]]
of = ["ada", "bo"]
max_memory_mb = {MEMORY_MB}
"#,
        two_networks("home"),
        node.display(),
        nodes.display(),
        node.display(),
        hostile.display()
    );
    attempts(test, || play("crowd", &text, &[]).map(|report| report.memory()));
}

/// Somebody who is no member pours noise into a member's signalling, with ever new names; the call beside it does not notice.
#[test]
fn noise_in_the_signalling_disturbs_no_call() {
    let test = "hostile::noise_in_the_signalling_disturbs_no_call";
    let _alone = alone();
    if !can_run(test) {
        return;
    }
    let Some([node, _, hostile]) = javascript::installed() else {
        return skip(test, "Node and js-libp2p (scripts/setup.sh test) are missing");
    };
    let text = format!(
        r#"
seconds = 24
[network.home]
edge = "home"
uplink = "fibre"
[host.ada]
[host.bo]
network = "home"
[host.stranger]
[peer.ada]
does = "create"
args = ["--no-mdns", "--listen", "/ip4/{{ip:ada}}/tcp/4001"]
[peer.bo]
at = 0.5
args = ["--no-mdns"]
[peer.stranger]
does = "run"
at = 6
command = ["{}", "{}", "signals", "{{ip:stranger}}", "/ip4/{{ip:ada}}/tcp/4001", "14"]
[[expect]]
output = {{ peer = "stranger", contains = ["messages of noise were sent"] }}
[[expect]]
of = ["ada", "bo"]
hears = "yes"
max_silence_ms = 200
[[expect]]
of = ["ada", "bo"]
max_memory_mb = {MEMORY_MB}
"#,
        node.display(),
        hostile.display()
    );
    attempts(test, || play("noise", &text, &[]).map(|report| report.memory()));
}

/// Two who need somebody between them have two helpers, and one of those stands still, with all its connections open.
#[test]
fn a_helper_that_stalls_is_left_for_another() {
    let test = "hostile::a_helper_that_stalls_is_left_for_another";
    let _alone = alone();
    if !can_run(test) {
        return;
    }
    let through = through(r#""first", "second""#);
    let text = format!(
        r#"
seconds = 34
[host.first]
link = "fibre"
[host.second]
link = "fibre"
[peer.first]
does = "helper"
args = ["--listen", "/ip4/{{ip:first}}/tcp/4001", "--listen", "/ip4/{{ip:first}}/udp/4001/quic-v1"]
[peer.second]
does = "helper"
args = ["--listen", "/ip4/{{ip:second}}/tcp/4001", "--listen", "/ip4/{{ip:second}}/udp/4001/quic-v1"]
{through}[[step]]
at = 10
do = "freeze"
peer = "first"
[[step]]
at = 33
do = "thaw"
peer = "first"
[[expect]]
of = ["ada", "bo"]
connects_within = 8
max_gap_ms = 12000
"#
    );
    attempts(test, || {
        play("stalled", &text, &[]).map(|report| format!("silent for {:?} ms", report.figures("/sound/silence_ms")))
    });
}

/// Part of a scenario: two who can speak through these helpers only.
fn through(helpers: &str) -> String {
    let networks = two_networks("symmetric");
    format!(
        r#"{networks}[peer.ada]
does = "create"
args = ["--no-mdns"]
helpers = [{helpers}]
[peer.bo]
at = 1
args = ["--no-mdns"]
helpers = [{helpers}]
"#
    )
}

/// A helper is asked for relayed addresses by a stranger, over and over, from thousands of ports. Two who need it speak through it, and it stays small.
#[test]
fn a_flood_of_turn_requests_leaves_a_helper_at_work() {
    let test = "hostile::a_flood_of_turn_requests_leaves_a_helper_at_work";
    let _alone = alone();
    if !can_run(test) {
        return;
    }
    // Allocate (RFC 8656) with a requested transport of UDP; without credentials, and with false ones.
    let flood = r#"
import os, random, socket, struct, sys, time
helper, end, sent = (sys.argv[1], int(sys.argv[2])), time.time() + 12, 0
transport = struct.pack('!HHBBBB', 0x0019, 4, 17, 0, 0, 0)
name = b'somebody'
false = struct.pack('!HH', 0x0006, len(name)) + name + struct.pack('!HH', 0x0008, 20) + bytes(20)
while time.time() < end:
    way = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for attributes in [transport, transport + false] * 5:
        header = struct.pack('!HHI12s', 0x0003, len(attributes), 0x2112a442, os.urandom(12))
        way.sendto(header + attributes, helper)
        sent += 1
    way.close()
    time.sleep(0.002)
print(sent, 'requests were sent')
"#;
    let through = through("\"helper\"");
    let text = format!(
        r#"
seconds = 22
{HELPER}{through}[host.stranger]
[peer.stranger]
does = "run"
at = 6
command = ["python3", "-c", '''{flood}''', "{{ip:helper}}", "3478"]
[[expect]]
output = {{ peer = "stranger", contains = ["requests were sent"] }}
[[expect]]
of = ["ada", "bo"]
connects_within = 10
path = "relayed"
hears = "yes"
[[expect]]
of = ["helper"]
max_memory_mb = {MEMORY_MB}
"#
    );
    attempts(test, || play("turn-flood", &text, &[]).map(|report| report.memory()));
}

/// What the test below hands to the one who takes: a helper's address, and its own.
const GREEDY: &str = "RESONANCE_TEST_GREEDY";

/// Somebody with credentials, and with ever new names for more of them, takes as many of a helper's relayed addresses as it gets, from thousands of ports.
/// The call through the helper goes on, somebody who comes meanwhile gets its own, and the helper stays small.
#[test]
fn whoever_has_credentials_takes_a_share_of_a_helper_and_no_more() {
    let test = "hostile::whoever_has_credentials_takes_a_share_of_a_helper_and_no_more";
    let _alone = alone();
    if !can_run(test) {
        return;
    }
    let count = r#"
import urllib.request
lines = urllib.request.urlopen('http://127.0.0.1:9464/metrics').read().decode().splitlines()
figures = dict(line.removeprefix('resonance_helper_').split() for line in lines if line[0] != '#')
given, refused, memory = (int(figures[name]) for name in ['turn_allocations', 'turn_refused_quota_total', 'resident_memory_bytes'])
print(given, 'relayed addresses of', figures['turn_users'], 'users,', refused, 'refused,', memory // 1000000, 'MB')
# One network gets 128; three people who speak through the helper need a few.
print('a share' if 128 < given < 128 + 60 and refused > 500 else 'too much, or nobody asked')
"#;
    let through = through("\"helper\"");
    let text = format!(
        r#"
seconds = 40
ends_with = ["count"]
{HELPER}{through}[network.west]
edge = "symmetric"
uplink = "fibre"
[host.cy]
network = "west"
[host.greedy]
[peer.greedy]
does = "run"
at = 6
command = ["env", "{GREEDY}=/ip4/{{ip:helper}}/tcp/4001 {{ip:greedy}}", "{}", "hostile::takes_all_that_it_gets", "--exact", "--ignored", "--nocapture"]
[peer.cy]
at = 18
args = ["--no-mdns"]
helpers = ["helper"]
[peer.count]
host = "helper"
does = "run"
at = 30
command = ["python3", "-c", """{count}"""]
[[expect]]
output = {{ peer = "greedy", contains = ["relayed addresses are mine"] }}
[[expect]]
output = {{ peer = "count", contains = ["a share"] }}
[[expect]]
of = ["ada", "bo"]
connects_within = 10
path = "relayed"
hears = "yes"
max_silence_ms = 200
[[expect]]
of = ["ada", "cy"]
connects_within = 8
path = "relayed"
hears = "yes"
[[expect]]
of = ["helper"]
max_memory_mb = {MEMORY_MB}
"#,
        std::env::current_exe().expect("this program").display()
    );
    let folder = tempfile::tempdir().expect("a temporary folder");
    let kept = folder.path().display().to_string();
    attempts(test, || {
        let report = play("share", &text, &["--keep", &kept])?;
        let through = |pair: &&Value| ["local", "remote"].iter().any(|side| pair[*side] == "relay");
        let relayed = report.pairs().iter().filter(through).count();
        let said = |name: &str| std::fs::read_to_string(folder.path().join("share").join(name)).unwrap_or_default();
        let figures = format!("{}; {}", said("count.out").lines().next().unwrap_or_default(), report.memory());
        // By a relayed address of its own, and not by a stream.
        if relayed == report.pairs().len() { Ok(figures) } else { Err(format!("{relayed} of the pairs; {figures}")) }
    });
}

/// The one who takes, on a host of the test above.
#[test]
#[ignore = "a part of another test, which runs it on a simulated host"]
fn takes_all_that_it_gets() {
    /// How long it goes on, and with how many hands.
    const SPAN: Duration = Duration::from_secs(18);
    const HANDS: usize = 8;
    let Ok(given) = std::env::var(GREEDY) else { return };
    let (helper, own) = given.split_once(' ').expect("two addresses");
    let own: IpAddr = own.parse().expect("an address");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let end = Instant::now() + SPAN;
    // Each visit is by a new name.
    let visit = |_| runtime.block_on(probe::visit(helper)).ok().and_then(|visit| visit.credentials);
    let users: Vec<Credentials> = (0..20).filter_map(visit).collect();
    let take = |hand: usize| {
        let (mut mine, mut asked) = (Vec::new(), 0);
        for user in users.iter().cycle().skip(hand).step_by(HANDS - 1).take_while(|_| Instant::now() < end) {
            mine.extend(allocate(own, user.servers[0], user, 8));
            asked += 8;
        }
        (mine, asked)
    };
    let (mut mine, mut asked) = (Vec::new(), 0);
    std::thread::scope(|scope| {
        let hands: Vec<_> = (0..HANDS).map(|hand| scope.spawn(move || take(hand))).collect();
        for hand in hands {
            let (taken, times) = hand.join().expect("a hand");
            mine.extend(taken);
            asked += times;
        }
    });
    let said =
        format!("{} relayed addresses are mine, as {} users, who asked {asked} times\n", mine.len(), users.len());
    std::io::stdout().write_all(said.as_bytes()).expect("said");
    // What it has it keeps until it is ended.
    std::thread::sleep(Duration::from_secs(60));
}

/// Who says --no-direct is seen by the helper and by nobody else: the other's capture has the address nowhere, in no header and in no payload.
#[test]
fn what_the_others_receive_has_the_address_nowhere() {
    let test = "hostile::what_the_others_receive_has_the_address_nowhere";
    let _alone = alone();
    if !can_run(test) {
        return;
    }
    let story = |more: &str| {
        format!(
            r#"
seconds = 14
{HELPER}[network.hidden]
edge = "home"
uplink = "fibre"
[host.hidden]
network = "hidden"
[host.other]
[peer.other]
does = "create"
args = ["--no-mdns"]
helpers = ["helper"]
[peer.hidden]
at = 1
args = [{more}]
helpers = ["helper"]
[[expect]]
of = ["hidden", "other"]
connects_within = 12
hears = "yes"
"#
        )
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let captures = folder.path().display().to_string();
    attempts(test, || {
        // The control: without the promise the same search finds the address.
        play("shown", &story("\"--no-mdns\""), &["--pcap", &captures])?;
        play("hidden", &story("\"--no-direct\""), &["--pcap", &captures])?;
        let shown = sightings(&folder.path().join("shown-other.pcap"));
        let hidden = sightings(&folder.path().join("hidden-other.pcap"));
        let says = format!("{shown} packets with the address when it is shown, {hidden} when it is not");
        if shown > 0 && hidden == 0 { Ok(says) } else { Err(says) }
    });
}

/// How many packets of a capture contain the outer address of the network `hidden`, in bytes or as text.
fn sightings(capture: &Path) -> usize {
    /// The Internet's first member after its router is that network's: networks come before hosts.
    const OUTER: [u8; 4] = [20, 0, 0, 2];
    let text = OUTER.map(|byte| byte.to_string()).join(".");
    let holds = |packet: &[u8], wanted: &[u8]| packet.windows(wanted.len()).any(|window| window == wanted);
    packets(&std::fs::read(capture).expect("a capture"))
        .filter(|packet| holds(packet, &OUTER) || holds(packet, text.as_bytes()))
        .count()
}
