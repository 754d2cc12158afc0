//! Somebody between two media sockets has a certificate of its own: then it is not the one that the descriptions name.

use super::*;

/// The description as it would be if another certificate were at its end: one digit of the fingerprint differs.
fn with_another_certificate(sdp: &str) -> String {
    let begin = sdp.find("a=fingerprint:sha-256 ").expect("a fingerprint") + "a=fingerprint:sha-256 ".len();
    let digit = if sdp[begin..].starts_with('0') { "1" } else { "0" };
    [&sdp[..begin], digit, &sdp[begin + 1..]].concat()
}

/// What was said meanwhile by either is heard by nobody, and whoever was promised another certificate has no media.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_has_another_certificate_than_was_promised_is_not_heard_and_hears_nothing() {
    for (in_offer, in_answer) in [(true, false), (false, true)] {
        let (mut ann, mut bo) = (Node::start(1).await, Node::start(2).await);
        ann.connect(&mut bo).await;
        let swapped = |sdp: String, swap: bool| if swap { with_another_certificate(&sdp) } else { sdp };
        ann.handle.command(Command::OpenMedia { peer: bo.id, number: 1, patient: false });
        let offer = ann.description(DescriptionKind::Offer).await;
        bo.handle.command(Command::AcceptOffer { peer: ann.id, sdp: swapped(offer, in_offer), number: 1 });
        let answer = bo.description(DescriptionKind::Answer).await;
        ann.handle.command(Command::AcceptAnswer { peer: bo.id, sdp: swapped(answer, in_answer) });
        for number in 0..300 {
            ann.say(&packet(0, number));
            bo.say(&packet(1, number));
            tokio::time::sleep(Duration::from_millis(10)).await;
            ann.breath().await;
            bo.breath().await;
        }
        let deceived = if in_offer { &mut bo } else { &mut ann };
        let no_media = |event: &Event| !matches!(event, Event::MediaUp { .. } | Event::MediaRtt { .. });
        deceived.nothing_else_for(Duration::from_millis(300), no_media).await;
        assert_eq!((ann.heard(), bo.heard()), (vec![], vec![]), "{in_offer} {in_answer}");
        // The same two, undisturbed.
        ann.talk_to(&mut bo).await;
    }
}
