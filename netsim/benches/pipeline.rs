//! What the simulated Internet claims to be fast at: packets through the pure router, and the time that the real one adds.

use resonance_netsim::packet::End;
use resonance_netsim::packet::build::{end_of, udp};
use resonance_netsim::router::{HostId, Router};
use resonance_netsim::topology::{HostSpec, Plan, Topology};
use std::hint::black_box;
use std::io::Write;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Eight homes and a server, on links that make everything happen that can.
fn homes(link: &str) -> Topology {
    let mut topology = Topology::default();
    topology.add_host("server", "internet");
    for number in 0..8 {
        let network = format!("home {number}");
        topology.add_network(&network, "home");
        let spec = HostSpec { network, link: link.into(), ..HostSpec::default() };
        topology.host.insert(format!("host {number}"), spec);
    }
    topology
}

/// Packets a second through links, NAT and Internet, there and back, on one core, in virtual time.
fn throughput(link: &str) -> f64 {
    const PACKETS: u32 = 400_000;
    let start = Instant::now();
    let mut router = Router::new(Plan::new(&homes(link)).expect("a sound topology"), 1, start);
    let server = HostId(router.plan().host("server").expect("there"));
    let server_at = SocketAddr::new(router.addresses(server)[0], 9);
    let senders: Vec<(HostId, Vec<u8>)> = (0..8)
        .map(|number| {
            let id = HostId(router.plan().host(&format!("host {number}")).expect("there"));
            let from = SocketAddr::new(router.addresses(id)[0], 4_000);
            (id, udp(from, server_at, &[7; 160]).expect("one family"))
        })
        .collect();
    let mut handled = 0;
    for number in 0..PACKETS {
        // The pace of eight voices; one virtual second is as good as another.
        let now = start + Duration::from_micros(1_250) * number;
        let (id, packet) = &senders[number as usize % senders.len()];
        router.handle_packet(now, *id, packet);
        handled += 1;
        while let Some((to, packet)) = router.poll_transmit(now) {
            if to == server {
                let back = end_of(&packet, End::Source).expect("it has ports");
                router.handle_packet(now, server, &udp(server_at, back, &[7; 160]).expect("one family"));
                handled += 1;
            }
            black_box(&packet);
        }
    }
    f64::from(handled) / start.elapsed().as_secs_f64()
}

fn main() {
    for link in ["perfect", "busy wifi"] {
        let rate = throughput(link);
        say(&format!("pure router, eight homes on {link:<10} {rate:>12.0} packets/s on one core (claimed: 200,000)"));
    }
    #[cfg(target_os = "linux")]
    real_time::measure();
}

#[cfg(target_os = "linux")]
mod real_time {
    use super::{Duration, HostId, Instant, Plan, SocketAddr, homes, say};
    use resonance_netsim::driver::Driver;
    use resonance_netsim::sys::netns;
    use std::net::UdpSocket;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// A voice is a packet every ten milliseconds, to each of seven others.
    const PACE: Duration = Duration::from_millis(10);

    /// One-way time from socket to socket over perfect links, while eight hosts send what a call of eight does; and how late the driver was.
    pub fn measure() {
        if let Err(why) = netns::prepare() {
            return say(&format!("real-time driver: not measured, {why}"));
        }
        let driver = Driver::start(Plan::new(&homes("perfect")).expect("a sound topology"), 1).expect("it starts");
        let host = |name: &str| HostId(driver.with_router(|router| router.plan().host(name)).expect("there"));
        let server = host("server");
        let address = driver.with_router(|router| router.addresses(server)[0]);
        let there = SocketAddr::new(address, 9);
        let echo = driver.host(server).enter(|| UdpSocket::bind("0.0.0.0:9")).expect("a socket");
        echo.set_read_timeout(Some(Duration::from_millis(100))).expect("a socket");
        let stop = AtomicBool::new(false);
        let mut trips: Vec<Duration> = std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut buffer = [0; 2_048];
                while !stop.load(Ordering::Relaxed) {
                    if let Ok((length, from)) = echo.recv_from(&mut buffer) {
                        let _ = echo.send_to(&buffer[..length], from);
                    }
                }
            });
            for number in 1..8 {
                let socket = driver.host(host(&format!("host {number}"))).enter(|| UdpSocket::bind("0.0.0.0:0"));
                let (socket, stop) = (socket.expect("a socket"), &stop);
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        (0..7).for_each(|_| drop(socket.send_to(&[7; 160], there)));
                        std::thread::sleep(PACE);
                    }
                });
            }
            let probe = driver.host(host("host 0")).enter(|| UdpSocket::bind("0.0.0.0:0")).expect("a socket");
            probe.set_read_timeout(Some(Duration::from_secs(1))).expect("a socket");
            let mut buffer = [0; 2_048];
            let trips = (0..500)
                .filter_map(|_| {
                    std::thread::sleep(Duration::from_millis(7));
                    let sent = Instant::now();
                    probe.send_to(&[1; 160], there).ok()?;
                    probe.recv_from(&mut buffer).ok()?;
                    Some(sent.elapsed() / 2)
                })
                .collect();
            stop.store(true, Ordering::Relaxed);
            trips
        });
        trips.sort();
        let at = |share: f64| {
            trips.get((trips.len() as f64 * share) as usize).map_or(f64::NAN, |trip| trip.as_secs_f64() * 1e3)
        };
        say(&format!(
            "real-time driver, load of a call of eight: one way {:.3} ms (median), {:.3} ms (99 %) over {} trips (claimed: below 1 ms)",
            at(0.5),
            at(0.99),
            trips.len()
        ));
        let late = driver.lateness();
        say(&format!(
            "  of {} packets half were handed over within {:?} of their time, 99 % within {:?}",
            late.packets(),
            late.below(0.5),
            late.below(0.99)
        ));
    }
}
