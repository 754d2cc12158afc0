//! Packet captures that Wireshark and tcpdump read (pcap, nanoseconds, raw IP).

use std::io::{self, Write};
use std::time::{Duration, Instant, SystemTime};

/// Magic number of files with nanosecond times.
const MAGIC: u32 = 0xa1b2_3c4d;
/// LINKTYPE_RAW: packets begin with their IP header.
const RAW_IP: u32 = 101;

/// A capture that is being written.
#[derive(Debug)]
pub struct Capture<W> {
    file: W,
    begin: Instant,
    /// What the clock on the wall showed then.
    wall: Duration,
}

impl<W: Write> Capture<W> {
    /// Begins one. `wall` is the time on the wall at `begin`.
    ///
    /// # Errors
    /// The file's.
    pub fn new(mut file: W, begin: Instant, wall: SystemTime) -> io::Result<Self> {
        let mut head = Vec::with_capacity(24);
        head.extend_from_slice(&MAGIC.to_le_bytes());
        // Version 2.4; times are UTC; whole packets.
        head.extend_from_slice(&[2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        head.extend_from_slice(&u32::from(u16::MAX).to_le_bytes());
        head.extend_from_slice(&RAW_IP.to_le_bytes());
        file.write_all(&head)?;
        Ok(Self { file, begin, wall: wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default() })
    }

    /// Writes a packet down.
    ///
    /// # Errors
    /// The file's.
    pub fn note(&mut self, now: Instant, packet: &[u8]) -> io::Result<()> {
        let time = self.wall + now.saturating_duration_since(self.begin);
        let length = packet.len() as u32;
        for word in [time.as_secs() as u32, time.subsec_nanos(), length, length] {
            self.file.write_all(&word.to_le_bytes())?;
        }
        self.file.write_all(packet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capture_has_the_bytes_that_the_format_asks_for() {
        let (mut file, begin) = (Vec::new(), Instant::now());
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let mut capture = Capture::new(&mut file, begin, wall).expect("memory takes everything");
        capture.note(begin + Duration::from_nanos(1_500), &[0x45, 0, 0]).expect("memory takes everything");
        assert_eq!(file[..8], [0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0]);
        assert_eq!(file[20..24], [101, 0, 0, 0]);
        assert_eq!(file[24..40], [0x00, 0xca, 0x9a, 0x3b, 0xdc, 5, 0, 0, 3, 0, 0, 0, 3, 0, 0, 0]);
        assert_eq!(file[40..], [0x45, 0, 0]);
    }
}
