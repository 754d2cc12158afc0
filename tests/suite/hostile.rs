//! Neighbours that nobody wants: the call goes on, and nobody's memory grows for them.

use crate::support::simulation::{can_run, play};
use crate::support::{alone, attempts, javascript, skip};
use std::path::Path;

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
[network.north]
edge = "home"
uplink = "fibre"
[network.south]
edge = "home"
uplink = "fibre"
[host.ada]
network = "north"
[host.bo]
network = "south"
[peer.js]
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
    let text = r#"
seconds = 34
[host.first]
link = "fibre"
[host.second]
link = "fibre"
[network.north]
edge = "symmetric"
uplink = "fibre"
[network.south]
edge = "symmetric"
uplink = "fibre"
[host.ada]
network = "north"
[host.bo]
network = "south"
[peer.first]
does = "helper"
args = ["--listen", "/ip4/{ip:first}/tcp/4001", "--listen", "/ip4/{ip:first}/udp/4001/quic-v1"]
[peer.second]
does = "helper"
args = ["--listen", "/ip4/{ip:second}/tcp/4001", "--listen", "/ip4/{ip:second}/udp/4001/quic-v1"]
[peer.ada]
does = "create"
args = ["--no-mdns"]
helpers = ["first", "second"]
[peer.bo]
at = 1
args = ["--no-mdns"]
helpers = ["first", "second"]
[[step]]
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
"#;
    attempts(test, || {
        play("stalled", text, &[]).map(|report| format!("silent for {:?} ms", report.figures("/sound/silence_ms")))
    });
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
    let text = format!(
        r#"
seconds = 22
[host.helper]
link = "fibre"
[network.north]
edge = "symmetric"
uplink = "fibre"
[network.south]
edge = "symmetric"
uplink = "fibre"
[host.ada]
network = "north"
[host.bo]
network = "south"
[host.stranger]
[peer.helper]
does = "helper"
args = ["--listen", "/ip4/{{ip:helper}}/tcp/4001", "--listen", "/ip4/{{ip:helper}}/udp/4001/quic-v1"]
[peer.ada]
does = "create"
args = ["--no-mdns"]
helpers = ["helper"]
[peer.bo]
at = 1
args = ["--no-mdns"]
helpers = ["helper"]
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
[host.helper]
link = "fibre"
[network.hidden]
edge = "home"
uplink = "fibre"
[host.hidden]
network = "hidden"
[host.other]
[peer.helper]
does = "helper"
args = ["--listen", "/ip4/{{ip:helper}}/tcp/4001", "--listen", "/ip4/{{ip:helper}}/udp/4001/quic-v1"]
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
    let bytes = std::fs::read(capture).expect("a capture");
    let mut rest = bytes.get(24..).unwrap_or_default();
    let mut seen = 0;
    while let Some(length) = rest.get(8..12).and_then(|field| field.try_into().ok()).map(u32::from_le_bytes) {
        let packet = rest.get(16..16 + length as usize).unwrap_or_default();
        let text = OUTER.map(|byte| byte.to_string()).join(".");
        let holds = |wanted: &[u8]| packet.windows(wanted.len()).any(|window| window == wanted);
        seen += usize::from(holds(&OUTER) || holds(text.as_bytes()));
        rest = rest.get(16 + length as usize..).unwrap_or_default();
    }
    seen
}
