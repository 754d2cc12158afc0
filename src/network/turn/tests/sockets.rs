//! The server on real sockets. Loopback has two addresses here: the server is at 127.0.0.1, the world at 127.0.0.2.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::time::{Duration, Instant};

use libp2p::PeerId;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::super::{Limits, TurnServer, announce, outermost};
use super::client::Caller;

const PATIENCE: Duration = Duration::from_secs(10);

fn server() -> TurnServer {
    TurnServer::start(&["127.0.0.1:0".parse().unwrap()], Vec::new(), Limits::HELPER).unwrap()
}

/// A caller behind a socket.
struct Phone {
    caller: Caller,
    socket: UdpSocket,
}

impl Phone {
    async fn new(server: &TurnServer, username: &str, password: &str) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let mut caller = Caller::new(address, server.servers()[0], username, password);
        caller.client.allocate(Instant::now()).unwrap();
        Self { caller, socket }
    }

    async fn with_credentials(server: &TurnServer) -> Self {
        let credentials = server.issue(PeerId::random(), Instant::now()).unwrap();
        let mut phone = Self::new(server, &credentials.username, &credentials.password).await;
        phone.until(|caller| caller.relayed.is_some()).await;
        phone
    }

    /// Sends and receives until something is so.
    async fn until(&mut self, so: impl Fn(&Caller) -> bool) {
        let mut buffer = [0; 2_048];
        let work = async {
            while !so(&self.caller) {
                while let Some(datagram) = self.caller.next_datagram() {
                    self.socket.send_to(&datagram, self.caller.server).await.unwrap();
                }
                if let Ok(received) = timeout(Duration::from_millis(50), self.socket.recv(&mut buffer)).await {
                    self.caller.take_in(Instant::now(), &buffer[..received.unwrap()]);
                }
                self.caller.pass_time(Instant::now());
            }
        };
        timeout(PATIENCE, work).await.expect("in time");
    }

    async fn permit(&mut self, peer: SocketAddr) {
        self.caller.permit(Instant::now(), peer);
        self.until(|caller| caller.permitted.contains(&peer)).await;
    }
}

#[tokio::test]
async fn sound_goes_through_the_server_both_ways() {
    let server = server();
    let mut ada = Phone::with_credentials(&server).await;
    let world = UdpSocket::bind("127.0.0.2:0").await.unwrap();
    let to = world.local_addr().unwrap();
    ada.permit(to).await;
    let mut buffer = [0; 2_048];
    for word in [[1; 120], [2; 120], [3; 120]] {
        assert!(ada.caller.say(Instant::now(), to, &word));
        while let Some(datagram) = ada.caller.next_datagram() {
            ada.socket.send_to(&datagram, ada.caller.server).await.unwrap();
        }
        let (length, from) = timeout(PATIENCE, world.recv_from(&mut buffer)).await.expect("in time").unwrap();
        assert_eq!((&buffer[..length], Some(from)), (&word[..], ada.caller.relayed));
        world.send_to(&word, from).await.unwrap();
        let before = ada.caller.heard.len();
        ada.until(|caller| caller.heard.len() > before).await;
        assert_eq!(ada.caller.heard.pop(), Some((to, word.to_vec())));
    }
    let figures = server.figures();
    assert_eq!((figures.packets, figures.bytes, figures.allocations), (6, 720, 1));
}

#[tokio::test]
async fn a_revoked_peer_loses_its_sockets_and_a_wrong_one_gets_none() {
    let server = server();
    let peer = PeerId::random();
    let credentials = server.issue(peer, Instant::now()).unwrap();
    let mut good = Phone::new(&server, &credentials.username, &credentials.password).await;
    good.until(|caller| caller.relayed.is_some()).await;
    let relayed = good.caller.relayed.unwrap();
    assert!(std::net::UdpSocket::bind(relayed).is_err(), "the address is taken");
    server.revoke(&peer);
    let freed = async {
        while std::net::UdpSocket::bind(relayed).is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, freed).await.expect("its socket is closed");
    let mut wrong = Phone::new(&server, &credentials.username, &credentials.password).await;
    wrong.until(|caller| !caller.refused.is_empty()).await;
    assert!(wrong.caller.refused[0].contains("401"));
    assert_eq!(server.figures().allocations, 0);
    assert_eq!(server.figures().refused_credentials, 1);
}

#[test]
fn a_machine_with_an_inner_network_announces_only_its_outer_addresses() {
    let ips = |texts: &[&str]| -> Vec<IpAddr> { texts.iter().map(|text| text.parse().unwrap()).collect() };
    let mixed = ips(&["10.0.0.5", "203.0.113.7", "fd00::5", "2001:db8::7"]);
    assert_eq!(outermost(mixed), ips(&["203.0.113.7", "2001:db8::7"]));
    let inner = ips(&["10.0.0.5", "fd00::5"]);
    assert_eq!(outermost(inner.clone()), inner);
    let listen = ["0.0.0.0:1".parse().unwrap()];
    assert_eq!(announce(ips(&["10.0.0.5", "203.0.113.7", "2001:db8::7"]), &listen), ips(&["10.0.0.5", "203.0.113.7"]));
}

#[tokio::test]
async fn the_servers_sockets_close_with_it() {
    let server = server();
    let phone = Phone::with_credentials(&server).await;
    let places = [server.servers()[0], phone.caller.relayed.unwrap()];
    drop(server);
    let freed = async {
        while places.iter().any(|place| std::net::UdpSocket::bind(place).is_err()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, freed).await.expect("all closed");
}

/// coturn's load generator: two clients a session that send to each other through the server, and count what comes back.
#[tokio::test]
async fn coturns_client_loses_nothing() {
    if Command::new("turnutils_uclient").arg("-h").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "turnutils_uclient (package coturn) is missing");
        // Seen also when the test passes.
        let _ = writeln!(std::io::stderr().lock(), "    SKIPPED: turnutils_uclient (package coturn) is missing");
        return;
    }
    let server = server();
    let credentials = server.issue(PeerId::random(), Instant::now()).unwrap();
    let port = server.servers()[0].port().to_string();
    let run = move |password: String, method: &'static str| {
        let mut client = Command::new("timeout");
        client.args(["30", "turnutils_uclient", "-y", "-c", "-m", "2", "-n", "50", "-z", "5", "-l", "120", method]);
        client.args(["-u", &credentials.username, "-w", &password, "-p", &port, "127.0.0.1"]);
        let output = client.output().expect("turnutils_uclient");
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    };
    let password = credentials.password.to_string();
    let all = tokio::task::spawn_blocking(move || {
        let good = password.clone();
        // Through channels, then by indications.
        [run(good.clone(), "-v"), run(good, "-s"), run("wrong".into(), "-v")]
    });
    let [channels, indications, wrong] = all.await.unwrap();
    for report in [&channels, &indications] {
        assert!(report.contains("Total lost packets 0 ("), "{report}");
        assert!(report.contains("tot_send_msgs=100, tot_recv_msgs=100"), "{report}");
    }
    assert!(!wrong.contains("Total lost packets"), "{wrong}");
    let figures = server.figures();
    assert!(figures.packets >= 200 && figures.refused_credentials > 0, "{figures:?}");
}
