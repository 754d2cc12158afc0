//! Links as people handle them: pasted whole, in quotes, wrapped, mistyped, cut short.

use super::*;
use crate::peer::{Listener, Transport};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::collections::HashSet;

fn hints(ipv4: usize, ipv6: usize) -> Vec<Address> {
    let v4 = (0..ipv4).map(|n| Address {
        ip: [192, 0, 2, n as u8].into(),
        port: 4_000,
        transport: Transport::Tcp,
        listener: Listener::Peer,
    });
    let v6 = (0..ipv6).map(|n| Address {
        ip: [0x2001, 0xdb8, 0, 0, 0, 0, 0, n as u16].into(),
        port: 65_535,
        transport: Transport::Quic,
        listener: Listener::Peer,
    });
    v4.chain(v6).collect()
}

fn link(seed: u64, hints: Vec<Address>) -> Link {
    let mut rng = StdRng::seed_from_u64(seed);
    let (host, authority_hash) = (TransportId::from_bytes(rng.random()), rng.random());
    Link::create(host, authority_hash, 1_900_000_000, hints, &mut rng)
}

/// A text that says of a body of one's own making that it is whole.
fn with_checksum(body: &[u8]) -> String {
    [Link::SCHEME, &base58::encode(&[body, &checksum(body)].concat())].concat()
}

/// The bytes of a link before its checksum.
fn body(link: &Link) -> Vec<u8> {
    let bytes = base58::decode(link.to_text().strip_prefix(Link::SCHEME).unwrap()).unwrap();
    bytes[..bytes.len() - Link::CHECKSUM_LEN].to_vec()
}

fn assert_found(text: &str, link: &Link) {
    match Link::find(text) {
        Ok(found) => assert_eq!(found.to_text(), link.to_text(), "in {text:?}"),
        Err(error) => panic!("{error} in {text:?}"),
    }
}

#[test]
fn a_link_comes_back_with_everything_it_carries() {
    for seed in 0..20 {
        for (ipv4, ipv6) in [(0, 0), (1, 0), (0, 1), (3, 3), (6, 0), (0, 6)] {
            let made = link(seed, hints(ipv4, ipv6));
            let found = Link::find(&made.to_text()).unwrap();
            assert_eq!((found.flags, found.expires, found.host), (0, made.expires, made.host));
            assert_eq!((found.authority_hash, &found.hints), (made.authority_hash, &made.hints));
            assert_eq!((found.secret.0, *found.keys().psk), (made.secret.0, *made.keys().psk));
        }
    }
    assert_eq!(link(1, hints(5, 5)).hints.len(), Link::MAX_HINTS, "more are left out");
}

#[test]
fn the_lengths_of_links_are_as_reckoned() {
    for seed in 0..50 {
        for (ipv4, ipv6) in (0..=6).flat_map(|ipv4| (0..=6 - ipv4).map(move |ipv6| (ipv4, ipv6))) {
            let text = link(seed, hints(ipv4, ipv6)).to_text();
            let bytes = Link::MIN_LEN + 7 * ipv4 + 19 * ipv6;
            assert_eq!(text.len() - Link::SCHEME.len(), Link::characters_of(bytes));
            assert!(Link::lengths().any(|len| len == bytes));
        }
    }
    assert_eq!(Link::characters_of(Link::MAX_LEN), 261);
}

#[test]
fn it_is_found_in_whatever_was_pasted() {
    let made = link(3, hints(2, 1));
    let text = made.to_text();
    let bare = text.strip_prefix(Link::SCHEME).unwrap();
    for pasted in [
        format!("  {text}\n"),
        format!("\"{text}\""),
        format!("'{text}'"),
        format!("`{text}`"),
        format!("“{text}”"),
        format!("«{text}»"),
        format!("<{text}>"),
        format!("({text})."),
        format!("{text}."),
        format!("{text}!"),
        format!("{text},"),
        format!("{{\"link\":\"{text}\",\"expires\":0}}"),
        format!("<a href=\"{text}\">join</a>"),
        format!("[join]({text})"),
        format!("Join us at eight: {text} and bring your headphones."),
        format!("Subject: call\r\n\r\nHi Bo,\r\n\r\n{text}\r\n\r\nSee you\r\n-- \r\nAl"),
        format!("resonance://{bare}"),
        format!("RESONANCE:{bare}"),
        format!("resonance: a voice chat. My link: {text}"),
        format!("resonance:{text}"),
        format!("$ resonance join {text} --name Bo"),
    ] {
        assert_found(&pasted, &made);
    }
}

#[test]
fn it_is_found_when_lines_were_wrapped() {
    let made = link(4, hints(1, 2));
    let text = made.to_text();
    for width in 12..text.len() {
        for (join, prefix) in [("\n", ""), ("\r\n", ""), ("\n", "> "), ("\n", "    "), ("  \n", ">> "), ("\n\n", "| ")]
        {
            let lines: Vec<_> = text.as_bytes().chunks(width).map(|line| std::str::from_utf8(line).unwrap()).collect();
            let wrapped = lines.join(&format!("{join}{prefix}"));
            assert_found(&format!("{prefix}{wrapped}\n{prefix}and so on"), &made);
            assert_found(&format!("{prefix}\"{wrapped}\" he wrote"), &made);
        }
    }
    let bare = text.strip_prefix(Link::SCHEME).unwrap();
    assert_found(&format!("resonance:\n{bare}"), &made);
    let soft: String =
        text.chars().enumerate().flat_map(|(n, c)| [Some(c), (n % 20 == 19).then_some('\u{200B}')]).flatten().collect();
    assert_found(&soft, &made);
}

#[test]
fn any_altered_character_is_an_error_that_says_so() {
    let made = link(5, hints(1, 0));
    let text = made.to_text();
    let start = Link::SCHEME.len();
    for at in start..text.len() {
        for with in ['1', 'z', 'a', '7', '0', 'O', 'I', 'l', '_', '-', '%', 'é', '🎧'] {
            if text[at..].starts_with(with) {
                continue;
            }
            let altered = format!("{}{with}{}", &text[..at], &text[at + 1..]);
            let error = Link::find(&altered).unwrap_err();
            let place = at - start + 1;
            let last = at + 1 == text.len();
            match with {
                '1' | 'z' | 'a' | '7' => assert_eq!(error, LinkError::Checksum, "{with} at {place}"),
                // A sign at the very end cannot be told from punctuation: what is before it is too short.
                '_' | '-' | '%' | '🎧' if last => assert_eq!(error, LinkError::Truncated),
                character => assert_eq!(error, LinkError::WrongCharacter { character, place }),
            }
        }
    }
}

#[test]
fn a_link_cut_short_anywhere_is_said_to_be_cut_short() {
    for (ipv4, ipv6) in [(0, 0), (1, 0), (2, 0), (2, 1), (0, 6)] {
        for seed in 0..3 {
            let text = link(seed, hints(ipv4, ipv6)).to_text();
            for len in 0..text.len() {
                let expected = if len <= Link::SCHEME.len() { LinkError::NotFound } else { LinkError::Truncated };
                assert_eq!(Link::find(&text[..len]).unwrap_err(), expected, "{len} of {} characters", text.len());
                // Even after "resonance:" alone: what follows may be a line that was wrapped.
                let expected = if len < Link::SCHEME.len() { LinkError::NotFound } else { LinkError::Truncated };
                let in_a_mail = format!("{}\n\nSee you at eight!\n", &text[..len]);
                assert_eq!(Link::find(&in_a_mail).unwrap_err(), expected, "{len} characters in a mail");
            }
        }
    }
}

#[test]
fn characters_swapped_doubled_or_lost_are_an_error() {
    let text = link(6, hints(2, 0)).to_text();
    for at in Link::SCHEME.len()..text.len() - 1 {
        let mut bytes = text.clone().into_bytes();
        bytes.swap(at, at + 1);
        if bytes != text.as_bytes() {
            assert_eq!(Link::find(std::str::from_utf8(&bytes).unwrap()).unwrap_err(), LinkError::Checksum);
        }
        let doubled = format!("{}{}", &text[..=at], &text[at..]);
        assert!(matches!(Link::find(&doubled), Err(LinkError::Checksum)), "doubled at {at}");
        let lost = format!("{}{}", &text[..at], &text[at + 1..]);
        assert!(matches!(Link::find(&lost), Err(LinkError::Checksum | LinkError::Truncated)), "lost at {at}");
    }
}

#[test]
fn what_has_no_link_or_too_much_of_one_says_so() {
    for text in
        ["", "hello", "resonance", "resonance:", "resonance: a voice chat", "resonance://", "http://example.org"]
    {
        assert_eq!(Link::find(text).unwrap_err(), LinkError::NotFound, "{text:?}");
    }
    assert_eq!(Link::find(&format!("resonance:{}", "x".repeat(500))).unwrap_err(), LinkError::TooLong);
    assert_eq!(Link::find(&format!("resonance:{}", "x".repeat(300))).unwrap_err(), LinkError::Checksum);
    assert_eq!(Link::find(&"resonance:".repeat(100_000)).unwrap_err(), LinkError::TooLong);
}

#[test]
fn other_versions_and_wrong_contents_have_their_own_errors() {
    let whole = body(&link(7, Vec::new()));
    let altered = |at: usize, to: u8| {
        let mut body = whole.clone();
        body[at] = to;
        Link::find(&with_checksum(&body)).unwrap_err()
    };
    assert_eq!(altered(0, 2), LinkError::UnknownVersion(2));
    assert_eq!(altered(0, 255), LinkError::UnknownVersion(255));
    assert_eq!(altered(1, 1), LinkError::Malformed, "a flag");
    assert_eq!(altered(2, 1), LinkError::Malformed, "an expiry beyond reason");
    let seven_hints: Vec<u8> = [0, 10, 0, 0, 1, 0, 80].repeat(7);
    assert_eq!(Link::find(&with_checksum(&[&whole[..], &seven_hints].concat())).unwrap_err(), LinkError::Malformed);
    assert_eq!(Link::find(&with_checksum(&[&whole[..], &[9; 7]].concat())).unwrap_err(), LinkError::Malformed);
    assert_eq!(Link::find(&with_checksum(&whole[..whole.len() - 1])).unwrap_err(), LinkError::Malformed);
}

#[test]
fn expiry_is_an_error_from_the_second_it_names() {
    let made = link(8, Vec::new());
    assert_eq!(made.check_expiry(1_899_999_999), Ok(()));
    assert_eq!(made.check_expiry(1_900_000_000), Err(LinkError::Expired { seconds_ago: 0 }));
    let error = made.check_expiry(1_900_000_000 + 7_300).unwrap_err();
    assert_eq!(error.to_string(), "the link expired 2 hours ago: ask for a new one");
    let forever = Link { expires: 0, ..made };
    assert_eq!(forever.check_expiry(u64::MAX), Ok(()));
}

#[test]
fn only_so_much_of_a_text_is_searched() {
    let link = link(21, hints(1, 0));
    assert_found(&format!("{}{}", "- ".repeat(30_000), link.to_text()), &link);
    let book = format!("{}{}", "- ".repeat(40_000), link.to_text());
    assert_eq!(Link::find(&book).unwrap_err(), LinkError::NotFound);
}

#[test]
fn how_long_ago_a_link_expired_is_said_in_the_largest_whole_unit() {
    let said = [
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "1 minute"),
        (3_599, "59 minutes"),
        (3_600, "1 hour"),
        (86_399, "23 hours"),
        (200_000, "2 days"),
    ];
    for (seconds_ago, words) in said {
        let error = LinkError::Expired { seconds_ago }.to_string();
        assert!(error.contains(&format!("expired {words} ago")), "{error}");
    }
}

#[test]
fn every_part_that_matters_changes_the_keys() {
    let made = link(9, hints(1, 0));
    let mut others = vec![made.clone(), link(10, Vec::new())];
    others.extend([
        Link { expires: made.expires + 1, ..made.clone() },
        Link { host: TransportId::from_bytes([0; 32]), ..made.clone() },
        Link { authority_hash: [0; 16], ..made.clone() },
        Link { secret: SessionSecret([0; 16]), ..made.clone() },
        Link { flags: 1, ..made.clone() },
    ]);
    let keys: Vec<_> = others.iter().map(Link::keys).collect();
    let distinct = |parts: Vec<[u8; 32]>| parts.iter().collect::<HashSet<_>>().len() == parts.len();
    assert!(distinct(keys.iter().map(|keys| *keys.psk).collect()));
    assert!(distinct(keys.iter().map(|keys| keys.rendezvous_key(0)).collect()));
    // The public name depends on who made the session, and the hints change nothing: they may be renewed.
    assert_eq!(keys[0].session_id, keys[2].session_id);
    assert!(keys[0].session_id != keys[3].session_id && keys[0].session_id != keys[4].session_id);
    let elsewhere = Link { hints: hints(0, 2), ..made.clone() }.keys();
    assert_eq!((elsewhere.session_id, *elsewhere.psk), (keys[0].session_id, *keys[0].psk));
}

#[test]
fn the_rendezvous_key_changes_every_hour() {
    let keys = link(11, Vec::new()).keys();
    assert_eq!(keys.rendezvous_key(3_600), keys.rendezvous_key(7_199));
    assert_ne!(keys.rendezvous_key(3_599), keys.rendezvous_key(3_600));
}

#[test]
fn a_room_is_the_same_however_its_name_was_typed() {
    let (composed, decomposed) = (SessionKeys::for_lan_room("caf\u{e9}"), SessionKeys::for_lan_room("cafe\u{301}"));
    assert_eq!((composed.session_id, *composed.psk), (decomposed.session_id, *decomposed.psk));
    let other = SessionKeys::for_lan_room("cafe");
    assert!(other.session_id != composed.session_id && *other.psk != *composed.psk);
}

#[test]
fn another_secret_changes_the_keys_and_not_the_session() {
    let old = link(14, hints(1, 0));
    let new = old.with_secret(SessionSecret::from_bytes([7; 16]));
    let (before, after) = (old.keys(), new.keys());
    assert_eq!((new.secret().as_bytes(), after.session_id), (&[7; 16], before.session_id));
    assert!(*before.psk != *after.psk && before.rendezvous_key(0) != after.rendezvous_key(0));
    assert_eq!((new.host, new.expires, &new.hints), (old.host, old.expires, &old.hints));
}

#[test]
fn a_shown_link_does_not_show_its_secret() {
    let made = link(12, Vec::new());
    let shown = format!("{made:?}");
    assert!(shown.starts_with("Link { host: ") && shown.ends_with("hints: 0, .. }"), "{shown}");
}

#[test]
fn chance_never_panics() {
    let mut rng = StdRng::seed_from_u64(58);
    let text = link(13, hints(1, 1)).to_text();
    for _ in 0..300 {
        let mut bytes = text.clone().into_bytes();
        for _ in 0..rng.random_range(1..8) {
            let at = rng.random_range(0..bytes.len());
            match rng.random_range(0..3) {
                0 => bytes[at] = rng.random(),
                1 => bytes.insert(at, rng.random()),
                _ => drop(bytes.remove(at)),
            }
        }
        let _ = Link::find(&String::from_utf8_lossy(&bytes));
        let noise: Vec<u8> = (0..rng.random_range(0..300)).map(|_| rng.random()).collect();
        let _ = Link::find(&format!("resonance:{}", String::from_utf8_lossy(&noise)));
        let _ = Link::find(&with_checksum(&noise));
    }
}
