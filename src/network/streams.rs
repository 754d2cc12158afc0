//! Sound by stream, for peers that no packets of their own reach: one stream each way over the connection that signals travel by.
//!
//! A stream delivers everything in order, late if need be. Sound cannot wait: what is not taken within 60 ms is dropped before
//! it gets into the stream.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::swarm::{ConnectionId, Stream};
use resonance_protocol::media::packet::{AddressedPacket, SealedPacket};
use resonance_protocol::peer::TransportId;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::inbound::InboundSink;
use super::limits::STREAM_QUEUE;
use super::{Event, Route, Way};

/// What has waited longer is not sent any more.
const STALE: Duration = Duration::from_millis(60);

/// A stream that takes nothing for so long is given up.
const STUCK: Duration = Duration::from_secs(5);

/// When a stream could not be had or broke, the wait before the next.
const RETRY: Duration = Duration::from_millis(300);

/// Bytes of the length before each packet.
const LENGTH_LEN: usize = 2;

type Timed = (Instant, SealedPacket);

/// Where packets for streams go in.
#[derive(Clone, Default)]
pub(super) struct Sinks(Arc<Mutex<HashMap<TransportId, mpsc::Sender<Timed>>>>);

impl Sinks {
    /// Hands a packet to its peer's stream; false when there is none, or it takes no more.
    pub(super) fn send(&self, packet: AddressedPacket) -> bool {
        let sinks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sinks.get(&packet.to).is_some_and(|sink| sink.try_send((Instant::now(), packet.packet)).is_ok())
    }

    fn set(&self, peer: TransportId, sink: Option<mpsc::Sender<Timed>>) {
        let mut sinks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match sink {
            Some(sink) => sinks.insert(peer, sink),
            None => sinks.remove(&peer),
        };
    }
}

/// Our stream to a peer.
enum Outgoing {
    /// To be opened then.
    Closed { retry_at: Instant },
    /// Asked for.
    Opening(ConnectionId),
    /// Ends when it is dropped; `next` has been asked for one in its place.
    Open { connection: ConnectionId, next: Option<ConnectionId>, generation: u64, _writer: Task },
}

/// A task that ends when this is dropped.
struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The streams to and from all peers.
pub(super) struct Streams {
    /// Those that are wanted.
    outgoing: HashMap<TransportId, Outgoing>,
    /// The newest of each peer; bounded by the peers that are connected.
    incoming: HashMap<TransportId, Task>,
    sinks: Sinks,
    inbound: InboundSink,
    next_generation: u64,
    ended: mpsc::UnboundedSender<(TransportId, u64)>,
    ends: mpsc::UnboundedReceiver<(TransportId, u64)>,
}

impl Streams {
    /// None yet. What comes by them goes to `inbound`; what is to go out by them is put into the sinks.
    pub(super) fn new(inbound: InboundSink) -> (Self, Sinks) {
        let sinks = Sinks::default();
        // Each stream that was opened ends once.
        let (ended, ends) = mpsc::unbounded_channel();
        let (outgoing, incoming) = (HashMap::new(), HashMap::new());
        (Self { outgoing, incoming, sinks: sinks.clone(), inbound, next_generation: 0, ended, ends }, sinks)
    }

    /// A stream to `peer` is wanted, or no more.
    pub(super) fn want(&mut self, peer: TransportId, on: bool) -> Option<Event> {
        if on {
            self.outgoing.entry(peer).or_insert(Outgoing::Closed { retry_at: Instant::now() });
            return None;
        }
        self.sinks.set(peer, None);
        let was = self.outgoing.remove(&peer)?;
        matches!(was, Outgoing::Open { .. }).then_some(Event::StreamDown { peer })
    }

    /// Peers to whom a stream is to be opened now.
    pub(super) fn due(&self, now: Instant) -> Vec<TransportId> {
        let due = |outgoing: &Outgoing| matches!(outgoing, Outgoing::Closed { retry_at } if *retry_at <= now);
        self.outgoing.iter().filter(|(_, outgoing)| due(outgoing)).map(|(peer, _)| *peer).collect()
    }

    /// Whether the stream to `peer` runs over this connection.
    pub(super) fn runs_over(&self, peer: &TransportId, by: ConnectionId) -> bool {
        matches!(self.outgoing.get(peer), Some(Outgoing::Open { connection, .. }) if *connection == by)
    }

    /// The connection that the stream to `peer` runs over, or is asked for by.
    pub(super) fn connection(&self, peer: &TransportId) -> Option<ConnectionId> {
        match self.outgoing.get(peer)? {
            Outgoing::Open { connection, .. } | Outgoing::Opening(connection) => Some(*connection),
            Outgoing::Closed { .. } => None,
        }
    }

    /// It is to go by another connection than that: true if another stream is to be asked for, which takes its place once it is open.
    pub(super) fn move_to(&mut self, peer: &TransportId, by: ConnectionId) -> bool {
        match self.outgoing.get_mut(peer) {
            Some(Outgoing::Open { next, .. }) => next.replace(by) != Some(by),
            Some(Outgoing::Opening(connection)) => std::mem::replace(connection, by) != by,
            _ => false,
        }
    }

    /// It has been asked for by this connection.
    pub(super) fn opening(&mut self, peer: TransportId, by: ConnectionId) {
        self.outgoing.insert(peer, Outgoing::Opening(by));
    }

    /// It is open.
    pub(super) fn opened(&mut self, peer: TransportId, by: ConnectionId, way: Way, stream: Stream) -> Option<Event> {
        if !self.is_opening(&peer, by) {
            return None;
        }
        let (sink, packets) = mpsc::channel(STREAM_QUEUE);
        let generation = self.next_generation;
        self.next_generation += 1;
        let ended = self.ended.clone();
        let writer = tokio::spawn(async move {
            if let Err(error) = write(stream, packets).await {
                tracing::debug!(%peer, %error, "a stream of sound broke");
            }
            // Nobody waits for it when the network is closed.
            let _ = ended.send((peer, generation));
        });
        self.sinks.set(peer, Some(sink));
        let writer = Task(writer.abort_handle());
        self.outgoing.insert(peer, Outgoing::Open { connection: by, next: None, generation, _writer: writer });
        Some(Event::StreamUp { peer, route: Route { way, local: "stream", remote: "stream" } })
    }

    fn is_opening(&self, peer: &TransportId, by: ConnectionId) -> bool {
        match self.outgoing.get(peer) {
            Some(Outgoing::Opening(connection)) => *connection == by,
            Some(Outgoing::Open { next, .. }) => *next == Some(by),
            _ => false,
        }
    }

    /// It cannot be opened by this connection.
    pub(super) fn refused(&mut self, peer: TransportId, by: ConnectionId) {
        match self.outgoing.get_mut(&peer) {
            Some(Outgoing::Open { next, .. }) => *next = next.filter(|next| *next != by),
            Some(Outgoing::Opening(connection)) if *connection == by => {
                self.outgoing.insert(peer, Outgoing::Closed { retry_at: Instant::now() + RETRY });
            }
            _ => {}
        }
    }

    /// This connection is gone: another is to carry what went over it.
    pub(super) fn left(&mut self, peer: TransportId, by: ConnectionId) -> Option<Event> {
        let outgoing = self.outgoing.get_mut(&peer)?;
        let open = match outgoing {
            Outgoing::Open { next, .. } if *next == Some(by) => {
                *next = None;
                return None;
            }
            Outgoing::Open { connection, .. } if *connection == by => true,
            Outgoing::Opening(connection) if *connection == by => false,
            _ => return None,
        };
        *outgoing = match outgoing {
            Outgoing::Open { next: Some(next), .. } => Outgoing::Opening(*next),
            _ => Outgoing::Closed { retry_at: Instant::now() },
        };
        self.sinks.set(peer, None);
        open.then_some(Event::StreamDown { peer })
    }

    /// The next that broke.
    pub(super) async fn next_end(&mut self) -> Option<Event> {
        let (peer, ended) = self.ends.recv().await?;
        match self.outgoing.get_mut(&peer) {
            Some(outgoing @ Outgoing::Open { .. }) => {
                let Outgoing::Open { generation, .. } = outgoing else { return None };
                if *generation != ended {
                    return None;
                }
                *outgoing = Outgoing::Closed { retry_at: Instant::now() + RETRY };
            }
            _ => return None,
        }
        self.sinks.set(peer, None);
        Some(Event::StreamDown { peer })
    }

    /// A member has opened one to us, in place of one that it may have had.
    pub(super) fn came(&mut self, peer: TransportId, stream: Stream) {
        let inbound = self.inbound.clone();
        let reader = tokio::spawn(async move {
            if let Err(error) = read(stream, peer, &inbound).await {
                tracing::debug!(%peer, %error, "a stream of sound ends");
            }
        });
        self.incoming.insert(peer, Task(reader.abort_handle()));
    }

    /// `peer` has no connection any more.
    pub(super) fn forget(&mut self, peer: &TransportId) {
        self.incoming.remove(peer);
    }

    /// Ends all.
    pub(super) fn close_all(&mut self) {
        self.outgoing.clear();
        self.incoming.clear();
    }
}

async fn write(mut stream: impl AsyncWrite + Unpin, mut packets: mpsc::Receiver<Timed>) -> io::Result<()> {
    let mut framed = Vec::with_capacity(LENGTH_LEN + SealedPacket::CAPACITY);
    while let Some((at, packet)) = packets.recv().await {
        if at.elapsed() > STALE {
            continue;
        }
        let packet = packet.as_slice();
        framed.clear();
        framed.extend_from_slice(&(packet.len() as u16).to_be_bytes());
        framed.extend_from_slice(packet);
        let written = async {
            stream.write_all(&framed).await?;
            stream.flush().await
        };
        tokio::time::timeout(STUCK, written).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    }
    stream.close().await
}

async fn read(mut stream: impl AsyncRead + Unpin, from: TransportId, inbound: &InboundSink) -> io::Result<()> {
    let mut allowance = InboundSink::allowance();
    let mut packet = SealedPacket::empty();
    loop {
        let mut length = [0; LENGTH_LEN];
        stream.read_exact(&mut length).await?;
        let length = usize::from(u16::from_be_bytes(length));
        let bytes = packet.buffer_mut().get_mut(..length).filter(|bytes| !bytes.is_empty());
        stream.read_exact(bytes.ok_or(io::ErrorKind::InvalidData)?).await?;
        packet.set_len(length);
        inbound.put(&mut allowance, from, Some(packet));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::io::Cursor;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    const PEER: [u8; 32] = [3; 32];

    async fn reading(wire: &[u8]) -> (Vec<Vec<u8>>, io::ErrorKind) {
        let (producer, mut ring) = rtrb::RingBuffer::new(8);
        let from = TransportId::from_bytes(PEER);
        let ended = read(Cursor::new(wire), from, &InboundSink::new(producer)).await;
        let packets = std::iter::from_fn(|| ring.pop().ok()).map(|packet| packet.packet.as_slice().to_vec()).collect();
        (packets, ended.expect_err("it ends").kind())
    }

    #[tokio::test]
    async fn packets_come_out_as_they_went_in_and_nonsense_ends_the_stream() {
        let mut wire = b"\x00\x06sealed\x00\x02by".to_vec();
        let packets = vec![b"sealed".to_vec(), b"by".to_vec()];
        assert_eq!(reading(&wire).await, (packets.clone(), io::ErrorKind::UnexpectedEof));
        wire.extend_from_slice(&[0, 0, 0, 1, 7]);
        assert_eq!(reading(&wire).await, (packets, io::ErrorKind::InvalidData), "an empty packet");
        let longest = SealedPacket::CAPACITY as u16;
        let mut wire = longest.to_be_bytes().to_vec();
        wire.resize(LENGTH_LEN + SealedPacket::CAPACITY, 9);
        assert_eq!(reading(&wire).await.0[0].len(), SealedPacket::CAPACITY);
        wire[..LENGTH_LEN].copy_from_slice(&(longest + 1).to_be_bytes());
        assert_eq!(reading(&wire).await, (vec![], io::ErrorKind::InvalidData), "one byte too many");
    }

    /// Takes nothing until it is told to; then all.
    struct Dam(Arc<Mutex<(bool, Vec<u8>)>>);

    impl AsyncWrite for Dam {
        fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            let mut dam = self.0.lock().unwrap();
            if !dam.0 {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            dam.1.extend_from_slice(bytes);
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn what_a_stream_does_not_take_in_time_is_dropped_and_never_sent_late() {
        let peer = TransportId::from_bytes(PEER);
        let (sinks, dam) = (Sinks::default(), Arc::new(Mutex::new((false, Vec::new()))));
        let (sink, packets) = mpsc::channel(STREAM_QUEUE);
        sinks.set(peer, Some(sink));
        let writing = tokio::spawn(write(Dam(dam.clone()), packets));
        let say = |number: u8| {
            let packet = SealedPacket::from_slice(&[number]).expect("it fits");
            sinks.send(AddressedPacket { to: peer, packet })
        };
        say(0);
        tokio::time::sleep(Duration::from_millis(20)).await;
        let taken: Vec<bool> = (1..=10).map(say).collect();
        assert_eq!(taken, [[true; 6].as_slice(), &[false; 4]].concat(), "60 ms wait, and no more");
        tokio::time::sleep(2 * STALE).await;
        dam.lock().unwrap().0 = true;
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(say(11));
        sinks.set(peer, None);
        writing.await.expect("it ends").expect("in order");
        assert_eq!(dam.lock().unwrap().1, [0, 1, 0, 0, 1, 11], "what had begun, and what is fresh");
        assert!(!say(12), "nobody takes it");
    }
}
