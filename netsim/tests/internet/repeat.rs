//! The same seed, the same run, byte for byte; another seed, another run.

use resonance_netsim::packet::build::udp;
use resonance_netsim::profiles;
use resonance_netsim::router::{HostId, NetworkId, Router, State};
use resonance_netsim::topology::{HostSpec, Plan, Topology};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Ten seconds of eight people who talk over bad links behind symmetric NATs, with a roaming, an outage and a partition: every packet that arrived,
/// with its time and place.
fn run(seed: u64) -> Vec<(Duration, HostId, Vec<u8>)> {
    let mut topology = Topology::default();
    let links = ["busy wifi", "lte", "3g", "train", "satellite", "transcontinental", "wifi", "fibre"];
    topology.add_host("server", "internet");
    for (number, link) in links.iter().enumerate() {
        let network = format!("network {number}");
        topology.add_network(&network, if number % 2 == 0 { "symmetric" } else { "double nat" });
        topology
            .host
            .insert(format!("host {number}"), HostSpec { network, link: (*link).into(), ..HostSpec::default() });
    }
    let start = Instant::now();
    let mut router = Router::new(Plan::new(&topology).expect("a sound topology"), seed, start);
    let host = |router: &Router, name: &str| HostId(router.plan().host(name).expect("a host"));
    let server = host(&router, "server");
    let server_at = SocketAddr::new(router.addresses(server)[0], 9);
    let mut seen = Vec::new();
    for tick in 0..1_000_u32 {
        let now = start + Duration::from_millis(10) * tick;
        match tick {
            300 => router.move_host(HostId(2), NetworkId(1)).map(|_| ()).expect("there is room"),
            400 => router.set_host_state(HostId(3), State::Down),
            450 => router.set_host_state(HostId(3), State::Up),
            500 => router.part(HostId(4), server),
            600 => router.heal(),
            700 => router.set_link(HostId(5), profiles::named("3g").expect("it is there")),
            _ => {}
        }
        for number in 0..links.len() {
            let id = host(&router, &format!("host {number}"));
            let from = SocketAddr::new(router.addresses(id)[0], 4_000);
            let packet = udp(from, server_at, &tick.to_be_bytes()).expect("one family");
            router.handle_packet(now, id, &packet);
        }
        while let Some((to, packet)) = router.poll_transmit(now) {
            if to == server {
                let back = resonance_netsim::packet::build::end_of(&packet, resonance_netsim::packet::End::Source);
                // What has no ports is an error about an answer to somebody who has moved.
                if let Some(answer) = back.and_then(|back| udp(server_at, back, &packet[28..])) {
                    router.handle_packet(now, server, &answer);
                }
            }
            seen.push((now - start, to, packet));
        }
    }
    seen
}

#[test]
fn the_same_seed_is_the_same_run_byte_for_byte() {
    let first = run(11);
    assert!(first.len() > 10_000, "{} packets", first.len());
    assert!(first == run(11), "two runs of one seed differ");
    assert!(first != run(12), "the seed decides");
}
