//! What the doctor looks at, and what each finding means.

use super::{Check, Verdict};
use crate::audio::device::card::{self, Direction};
use crate::audio::priority::{self, Standing};
use crate::cli::DoctorOptions;
use crate::network::PUBLIC_ENTRANCES;
use crate::network::probe::{self, Mapping, Range, Router, Visit};
use std::net::IpAddr;

/// What a person can do whom nobody can reach.
const GET_A_HELPER: &str =
    "Use a helper: --helper MULTIADDR. Anyone with a public address can run one: resonance helper.";

/// Looks at everything, most of it at the same time: takes half a minute at most, whatever the network does.
pub async fn all(options: &DoctorOptions, progress: &impl Fn(&str)) -> Vec<Check> {
    progress("the network");
    let named: Vec<(Role, &String)> = options
        .helper
        .iter()
        .map(|address| (Role::Helper, address))
        .chain(options.bootstrap.iter().map(|address| (Role::Bootstrap, address)))
        .collect();
    let visits = futures::future::join_all(named.iter().map(|(_, address)| probe::visit(address)));
    let (visits, entrances, multicast, routers) =
        tokio::join!(visits, public_network(options), probe::multicast(), probe::routers());
    let mut checks = vec![family(true, probe::route_to_world(true)), family(false, probe::route_to_world(false))];
    progress("the NAT");
    checks.extend(nat(&visits).await);
    checks.push(local_network(&multicast));
    checks.push(router(&routers));
    checks.extend(named.iter().zip(&visits).map(|((role, address), visit)| visited(*role, address, visit)));
    if options.helper.is_empty() {
        checks.push(nobody_named());
    }
    checks.extend(entrances);
    progress("microphones and speakers");
    let devices = tokio::task::spawn_blocking(card::list).await.unwrap_or_default();
    checks.push(device("Microphone", devices.iter().filter(|device| device.direction == Direction::Input).count()));
    checks.push(device("Speaker", devices.iter().filter(|device| device.direction == Direction::Output).count()));
    checks.push(audio_threads(tokio::task::spawn_blocking(priority::try_out).await.ok()));
    checks
}

/// Why somebody was called on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Helper,
    Bootstrap,
}

fn check(
    id: &'static str,
    what: impl Into<String>,
    verdict: Verdict,
    (found, means): (impl Into<String>, impl Into<String>),
    advice: Option<&str>,
) -> Check {
    Check { id, what: what.into(), verdict, found: found.into(), means: means.into(), advice: advice.map(Into::into) }
}

fn family(v4: bool, address: Option<IpAddr>) -> Check {
    let (id, what) = if v4 { ("ipv4", "IPv4") } else { ("ipv6", "IPv6") };
    let Some(address) = address else {
        let verdict = if v4 { Verdict::Bad } else { Verdict::Limited };
        let means = if v4 {
            "Most people can be reached by IPv4 only."
        } else {
            "Others are reached by IPv4. With IPv6 there would be no NAT in between."
        };
        let advice = v4.then_some("Connect this machine to a network.");
        return check(id, what, verdict, ("no way into the world", means), advice);
    };
    let (verdict, found, means) = match (probe::range(address), v4) {
        (Range::Public, _) => (
            Verdict::Good,
            "a public address",
            "There is no address translation; a firewall may stand in the way all the same.",
        ),
        (Range::Carrier, _) => (
            Verdict::Good,
            "a carrier's address",
            "Your provider shares one address among many (CGNAT): nobody reaches you unasked.",
        ),
        (Range::Private, true) => {
            (Verdict::Good, "a private address", "A router translates addresses (NAT): it decides who can reach you.")
        }
        (Range::Private, false) => {
            (Verdict::Limited, "an address of this network only", "Others outside it are reached by IPv4.")
        }
        (Range::Local, _) => (Verdict::Bad, "an address of this machine only", "Nobody else can be reached."),
    };
    let advice = (verdict == Verdict::Bad).then_some("Connect this machine to a network.");
    check(id, what, verdict, (found, means), advice)
}

async fn nat(visits: &[Result<Visit, String>]) -> Vec<Check> {
    let offers = visits.iter().flatten().filter_map(|visit| visit.credentials.as_ref());
    let servers: Vec<_> =
        offers.flat_map(|offer| offer.servers.iter().map(|server| (*server, offer.clone()))).collect();
    if servers.is_empty() {
        let unknown = |id, what: &str, means: &str| {
            check(
                id,
                what,
                Verdict::Unknown,
                ("nobody to ask", means),
                Some("Name a helper, better two: --helper MULTIADDR."),
            )
        };
        return vec![
            unknown(
                "udp",
                "UDP into the world",
                "Sound goes by UDP; whether it gets out shows only with a server outside.",
            ),
            unknown("nat", "Kind of NAT", "It shows by what two servers outside see, or one helper at two ports."),
        ];
    }
    let (v4, v6): (Vec<_>, Vec<_>) = servers.into_iter().partition(|(server, _)| server.is_ipv4());
    let (seen_v4, seen_v6) = tokio::join!(probe::observe(&v4), probe::observe(&v6));
    let asked = [(v4, seen_v4, "IPv4"), (v6, seen_v6, "IPv6")].into_iter().filter(|(servers, ..)| !servers.is_empty());
    asked.flat_map(|(servers, seen, family)| udp(&seen.unwrap_or_default(), servers.len(), family)).collect()
}

fn udp(observed: &probe::Observed, asked: usize, family: &str) -> Vec<Check> {
    let Some(mapping) = probe::classify(&observed.observations) else {
        let found = format!("none of {asked} servers answered over {family}");
        let means = "A firewall lets no UDP out, or the helper is down. Sound then goes through a helper over TCP, with more delay.";
        return vec![
            check(
                "udp",
                "UDP into the world",
                Verdict::Bad,
                (found, means),
                Some("Name a helper that listens on TCP 443."),
            ),
            check("nat", "Kind of NAT", Verdict::Unknown, ("no answer", "It cannot be seen without UDP."), None),
        ];
    };
    let udp = check(
        "udp",
        "UDP into the world",
        Verdict::Good,
        (format!("works over {family}"), "Sound can take the short way."),
        None,
    );
    let relays = if observed.relays {
        check(
            "turn",
            "Relaying by TURN",
            Verdict::Good,
            ("works", "Who cannot reach you directly reaches you through the helper."),
            None,
        )
    } else {
        let means = "The helper answers, and relays nothing: it is full, or its UDP ports are closed.";
        check(
            "turn",
            "Relaying by TURN",
            Verdict::Limited,
            ("does not work", means),
            Some("Ask whoever runs it, or name another."),
        )
    };
    vec![udp, kind_of_nat(mapping), relays]
}

fn kind_of_nat(mapping: Mapping) -> Check {
    let (verdict, found, means, advice) = match mapping {
        Mapping::None => (Verdict::Good, "none", "Others see your own address.", None),
        Mapping::Independent => (
            Verdict::Good,
            "friendly (the same address for every destination)",
            "Nearly everybody can be reached directly.",
            None,
        ),
        Mapping::Dependent => (
            Verdict::Limited,
            "symmetric (another address for every destination)",
            "You reach people behind friendly routers directly, and others behind a symmetric one only through a relay.",
            Some(GET_A_HELPER),
        ),
        Mapping::Unclear => (
            Verdict::Unknown,
            "there is one, of a kind that one answer does not show",
            "A second server would show it.",
            Some("Name a second helper."),
        ),
    };
    check("nat", "Kind of NAT", verdict, (found, means), advice)
}

fn local_network(multicast: &Result<(), String>) -> Check {
    match multicast {
        Ok(()) => check(
            "mdns",
            "Finding people on this network",
            Verdict::Good,
            (
                "works on this machine",
                "`resonance lan` needs no link. Some wireless networks keep their guests apart all the same.",
            ),
            None,
        ),
        Err(why) => check(
            "mdns",
            "Finding people on this network",
            Verdict::Limited,
            (format!("does not work: {why}"), "People on this network find each other by a link with addresses only."),
            Some("Let multicast (UDP 5353) through this machine's firewall."),
        ),
    }
}

fn router(routers: &[Router]) -> Check {
    let what = "A router that opens ports";
    let Some(first) = routers.first() else {
        return check(
            "router",
            what,
            Verdict::Limited,
            ("none found", "Nobody reaches you unasked through the router."),
            Some("Switch on UPnP, NAT-PMP or PCP in your router, if you want to be reachable for others."),
        );
    };
    let speaks: Vec<&str> = routers.iter().map(|router| router.speaks).collect();
    let behind_another = first.external.is_some_and(|external| probe::range(external) != Range::Public);
    if behind_another {
        let means = "Its own address is not public, either: another NAT comes after it, and open ports help little.";
        return check("router", what, Verdict::Limited, (speaks.join(", "), means), Some(GET_A_HELPER));
    }
    check("router", what, Verdict::Good, (speaks.join(", "), "Others can be let in through the router."), None)
}

fn visited(role: Role, address: &str, visit: &Result<Visit, String>) -> Check {
    let (id, what) = match role {
        Role::Helper => ("helper", format!("Helper {address}")),
        Role::Bootstrap => ("bootstrap", format!("Bootstrap {address}")),
    };
    let visit = match visit {
        Ok(visit) => visit,
        Err(why) => {
            let means = "It cannot be called on.";
            let advice = "Give an address like /ip4/192.0.2.1/tcp/4001/p2p/12D3…, as the helper printed it.";
            return check(id, what, Verdict::Bad, (why.as_str(), means), Some(advice));
        }
    };
    let Some(after) = visit.connected else {
        let means = "It is down, its address has changed, or a firewall is in between.";
        return check(
            id,
            what,
            Verdict::Bad,
            ("does not answer", means),
            Some("Ask whoever runs it, or try its TCP 443 address."),
        );
    };
    let offers = [
        (visit.dht, "place to meet (DHT)"),
        (visit.reserved, "relay"),
        (visit.relay && !visit.reserved, "relay that takes nobody now"),
        (visit.credentials.is_some(), "STUN and TURN"),
    ];
    let offers: Vec<&str> = offers.into_iter().filter_map(|(offered, name)| offered.then_some(name)).collect();
    let found = format!(
        "answers after {} ms: {}",
        after.as_millis(),
        if offers.is_empty() { "nothing to offer".into() } else { offers.join(", ") }
    );
    let enough = match role {
        Role::Helper => visit.reserved && visit.credentials.is_some(),
        Role::Bootstrap => visit.dht,
    };
    match (enough, role) {
        (true, Role::Helper) => {
            check(id, what, Verdict::Good, (found, "You can be reached and heard through it."), None)
        }
        (true, Role::Bootstrap) => check(id, what, Verdict::Good, (found, "Sessions can be found through it."), None),
        (false, Role::Helper) => {
            let means = "It is no helper, or one that is full.";
            check(id, what, Verdict::Limited, (found, means), Some("Name another helper."))
        }
        (false, Role::Bootstrap) => {
            let means = "It is no server of the DHT: it leads to its own session at best.";
            check(id, what, Verdict::Limited, (found, means), None)
        }
    }
}

/// Whether the public network lets us in, unless another one is named or it is to be left alone.
async fn public_network(options: &DoctorOptions) -> Option<Check> {
    if options.no_dht || !options.bootstrap.is_empty() {
        return None;
    }
    let visits = futures::future::join_all(PUBLIC_ENTRANCES.map(probe::visit)).await;
    let open = visits.iter().flatten().filter(|visit| visit.dht).count();
    let found = format!("{open} of {} entrances answer", PUBLIC_ENTRANCES.len());
    let (id, what) = ("bootstrap", "The public network (DHT)");
    Some(match open {
        0 => {
            let means = "A link then leads to the addresses in it, to this network, and to helpers only.";
            check(
                id,
                what,
                Verdict::Limited,
                (found, means),
                Some("Let TCP and UDP port 4001 out, or name a helper with --helper."),
            )
        }
        _ => check(id, what, Verdict::Good, (found, "People find a session by its link alone."), None),
    })
}

fn nobody_named() -> Check {
    let means = "Between two routers that let nobody in, only a helper carries sound.";
    check(
        "helper",
        "Helpers",
        Verdict::Unknown,
        ("none named", means),
        Some("Name one with --helper MULTIADDR to try it."),
    )
}

fn device(what: &str, count: usize) -> Check {
    let id = if what == "Speaker" { "speaker" } else { "microphone" };
    let found = match count {
        0 => "none found".to_owned(),
        1 => "one found".to_owned(),
        count => format!("{count} found"),
    };
    if count > 0 {
        return check(id, what, Verdict::Good, (found, "`resonance devices` lists them."), None);
    }
    let means = if id == "speaker" { "You will hear nobody." } else { "Nobody will hear you." };
    check(
        id,
        what,
        Verdict::Limited,
        (found, means),
        Some("Connect one, and see that no other program keeps it for itself."),
    )
}

fn audio_threads(standing: Option<Standing>) -> Check {
    let (id, what) = ("priority", "Audio threads");
    let preferred = "Sound goes on while the machine is busy with something else.";
    let why = match standing {
        Some(Standing::System) => {
            return check(id, what, Verdict::Good, ("real time, by the system's own grant", preferred), None);
        }
        Some(Standing::RealtimeKit) => {
            return check(id, what, Verdict::Good, ("real time, by RealtimeKit", preferred), None);
        }
        Some(Standing::Ordinary(why)) => why,
        None => "it could not be tried".to_owned(),
    };
    let advice = cfg!(target_os = "linux").then_some(
        "Install rtkit (Debian, Fedora and Arch call it that), which grants it to whoever sits at the machine.",
    );
    let means = "Sound may break while the machine is busy with something else.";
    check(id, what, Verdict::Limited, (format!("ordinary: {why}"), means), advice)
}
