//! Sealed packets on their way out: a thread that takes each from the ring and gives it to every peer connection.
//!
//! The audio worker wakes the thread by unparking it, the one thing that a real-time thread may do to another.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use resonance_protocol::media::packet::{AddressedPacket, SealedPacket};
use rtc::rtp;
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;

use super::streams::Sinks;

/// The one RTP payload type that is offered and accepted: Opus in nearly every implementation.
pub(super) const PAYLOAD_TYPE: u8 = 111;

/// RTP clock: 48 kHz, whatever is inside.
pub(super) const CLOCK_RATE: u32 = 48_000;

/// Samples of one packet: 10 ms.
const SAMPLES_PER_PACKET: u32 = 480;

/// Packets that may wait in the ring: 200 ms. Older ones would only be thrown away where they arrive.
const FRESH_PACKETS: usize = 20;

/// The thread looks by itself this often, in case a wake-up came between its last look and its sleep.
const SAFETY_WAKE: Duration = Duration::from_millis(100);

/// The tracks that are connected now: one for each peer, two while one takes the other's place.
#[derive(Clone, Default)]
pub(super) struct Outlets(Arc<Mutex<Vec<Outlet>>>);

/// One connection's end of our voice.
type Outlet = (Arc<TrackLocalStaticRTP>, Carrier);

/// What carries a connection's packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carrier {
    /// Its own socket.
    Socket,
    /// A TURN server: the crate leaves such a packet lying until its next wake-up (9 ms in the middle), unless it is asked to
    /// write something else at once.
    Turn,
}

impl Outlets {
    /// From now on every packet goes through `track`.
    pub(super) fn open(&self, track: Arc<TrackLocalStaticRTP>, carrier: Carrier) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((track, carrier));
    }

    /// No more packets through `track`.
    pub(super) fn close(&self, track: &Arc<TrackLocalStaticRTP>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|(open, _)| !Arc::ptr_eq(open, track));
    }

    /// Gives `packet` to every track. A connection whose queue is full loses it: waiting would delay all others.
    fn send(&self, packet: &rtp::Packet) -> usize {
        let outlets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        outlets
            .iter()
            .filter(|(track, carrier)| {
                let taken = matches!(track.write_rtp(packet.clone()).now_or_never(), Some(Ok(())));
                if *carrier == Carrier::Turn {
                    let _ = track.write_rtcp(Vec::new()).now_or_never();
                }
                !taken
            })
            .count()
    }
}

/// Numbers packets as RTP wants it. The numbers say nothing: the seal carries its own counter.
struct Packetizer {
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
}

impl Packetizer {
    fn wrap(&mut self, sealed: &SealedPacket) -> rtp::Packet {
        let header = rtp::header::Header {
            version: 2,
            payload_type: PAYLOAD_TYPE,
            sequence_number: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
            ..Default::default()
        };
        self.skip(1);
        rtp::Packet { header, payload: Bytes::copy_from_slice(sealed.as_slice()) }
    }

    fn skip(&mut self, packets: u16) {
        self.sequence = self.sequence.wrapping_add(packets);
        self.timestamp = self.timestamp.wrapping_add(SAMPLES_PER_PACKET * u32::from(packets));
    }
}

/// The running thread. Dropping it stops the thread.
pub(super) struct MediaPump {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    handle: Thread,
}

impl MediaPump {
    /// Starts the thread, which drains `ring` into `outlets` under `ssrc`, and `streamed` into `sinks`.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub(super) fn start(
        ring: rtrb::Consumer<SealedPacket>,
        streamed: rtrb::Consumer<AddressedPacket>,
        outlets: Outlets,
        sinks: Sinks,
        ssrc: u32,
    ) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let numbers = Packetizer { ssrc, sequence: rand::random(), timestamp: rand::random() };
        let mut pump = Pump { ring, streamed, outlets, sinks, numbers };
        let thread = thread::Builder::new().name("media pump".into()).spawn(move || pump.run(&stopped))?;
        let handle = thread.thread().clone();
        Ok(Self { stop, thread: Some(thread), handle })
    }

    /// What the audio worker unparks after each push.
    pub(super) fn thread(&self) -> Thread {
        self.handle.clone()
    }
}

impl Drop for MediaPump {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.handle.unpark();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the media pump had panicked");
        }
    }
}

struct Pump {
    ring: rtrb::Consumer<SealedPacket>,
    streamed: rtrb::Consumer<AddressedPacket>,
    outlets: Outlets,
    sinks: Sinks,
    numbers: Packetizer,
}

impl Pump {
    fn run(&mut self, stop: &AtomicBool) {
        let (mut sent, mut stale, mut refused) = (0_u64, 0_u64, 0_u64);
        while !stop.load(Ordering::Acquire) {
            let dropped = drop_stale(&mut self.ring);
            self.numbers.skip(dropped as u16);
            stale += dropped as u64;
            while let Ok(sealed) = self.ring.pop() {
                refused += self.outlets.send(&self.numbers.wrap(&sealed)) as u64;
                sent += 1;
            }
            while let Ok(packet) = self.streamed.pop() {
                refused += u64::from(!self.sinks.send(packet));
            }
            thread::park_timeout(SAFETY_WAKE);
        }
        tracing::debug!(sent, stale, refused, "media pump stops");
    }
}

/// Drops all but the newest [`FRESH_PACKETS`]; how many it dropped.
fn drop_stale(ring: &mut rtrb::Consumer<SealedPacket>) -> usize {
    let waiting = ring.slots().saturating_sub(FRESH_PACKETS);
    (0..waiting).take_while(|_| ring.pop().is_ok()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_run_on_and_wrap() {
        let mut numbers = Packetizer { ssrc: 9, sequence: u16::MAX, timestamp: u32::MAX };
        let sealed = SealedPacket::from_slice(b"sealed").unwrap();
        let (first, second) = (numbers.wrap(&sealed), numbers.wrap(&sealed));
        assert_eq!((first.header.sequence_number, second.header.sequence_number), (u16::MAX, 0));
        assert_eq!(second.header.timestamp, SAMPLES_PER_PACKET - 1);
        assert_eq!((second.header.ssrc, second.header.payload_type, second.header.marker), (9, PAYLOAD_TYPE, false));
        assert_eq!(&second.payload[..], b"sealed");
    }

    #[test]
    fn after_a_stall_only_the_newest_fifth_of_a_second_is_sent() {
        let (mut producer, mut ring) = rtrb::RingBuffer::new(256);
        for number in 0..150_u8 {
            producer.push(SealedPacket::from_slice(&[number]).unwrap()).unwrap();
        }
        assert_eq!(drop_stale(&mut ring), 130);
        assert_eq!(ring.pop().unwrap().as_slice(), [130]);
        assert_eq!(drop_stale(&mut ring), 0);
    }
}
