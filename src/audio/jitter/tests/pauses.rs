//! Pauses in which nothing is sent, told of by the frames around them.

use super::*;
use resonance_protocol::media::Pause;

impl Receiver {
    /// What a frame says of the rest: the six before it, and those after it for a while.
    pub(super) fn tell_of_rest(&mut self, at: f64, timestamp: u32, n: u32) {
        if self.rest.is_empty() {
            return;
        }
        let (until, since) = (self.rest.start.wrapping_sub(1).wrapping_sub(n), n.wrapping_sub(self.rest.end));
        let pause = match (until, since) {
            (until @ 0..6, _) => Pause::Begins(until as u8),
            (_, since @ 0..25) => Pause::Ended(since as u8),
            _ => return,
        };
        assert!(self.buffer.pause(self.instant(at), timestamp, FRAME, pause), "there is sound in it");
    }
}

/// It is over before what was said before it has been played.
#[test]
fn a_pause_shorter_than_the_delay_is_a_pause_too() {
    let mut receiver = Receiver::new(0.0);
    receiver.rest = 1_005..1_010;
    receiver.send_all(0..1_200, 0.0, |n| {
        let delay = if n % 20 < 2 && n < 1_000 { 100.0 } else { 1.0 };
        (!(1_005..1_010).contains(&n)).then_some(delay)
    });
    receiver.play_until(9_900.0);
    assert!(receiver.largest_buffer_after(9_000) > 80.0, "{}", receiver.largest_buffer_after(9_000));
    let before = receiver.buffer.totals();
    receiver.play_until(11_900.0);
    let after = receiver.buffer.totals();
    assert_eq!((after.concealed, after.lost), (before.concealed, before.lost), "nothing was missing");
    assert!(receiver.heard_after(9_900.0).contains(&Heard::Nothing), "and nothing was made up");
    let frames = receiver.frames();
    let pause = frames.windows(2).find(|pair| pair[1] > pair[0] + 1 && pair[0] > 990);
    assert_eq!(pause, Some(&[1_004, 1_010][..]));
}
