//! The STUN that the WebRTC stack speaks, held to RFC 5769's test vectors.

use rtc_crypto::default_provider;
use rtc_stun::attributes::{ATTR_ICE_CONTROLLED, ATTR_NONCE, ATTR_PRIORITY, ATTR_REALM, ATTR_SOFTWARE, ATTR_USERNAME};
use rtc_stun::fingerprint::FingerprintAttr;
use rtc_stun::integrity::MessageIntegrity;
use rtc_stun::message::{BINDING_REQUEST, BINDING_SUCCESS, Getter, Message, Setter, TransactionId};
use rtc_stun::textattrs::TextAttribute;
use rtc_stun::xoraddr::XorMappedAddress;

/// §2.1.
const REQUEST: &str = "000100582112a442b7e7a701bc34d686fa87dfae
    802200105354554e207465737420636c69656e74
    002400046e0001ff 80290008932ff9b151263b36
    000600096576746a3a68367659202020
    000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2 80280004e57a3bcf";
/// §2.2.
const RESPONSE_IPV4: &str = "0101003c2112a442b7e7a701bc34d686fa87dfae
    8022000b7465737420766563746f7220 002000080001a147e112a643
    000800142b91f599fd9e90c38c7489f92af9ba53f06be7d7 80280004c07d4c96";
/// §2.3.
const RESPONSE_IPV6: &str = "010100482112a442b7e7a701bc34d686fa87dfae
    8022000b7465737420766563746f7220 002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9
    00080014a382954e4be67bf11784c97c8292c275bfe3ed41 80280004c8fb0b4c";
/// §2.4.
const LONG_TERM: &str = "000100602112a44278ad3433c6ad72c029da412e
    00060012e3839ee38388e383aae38383e382afe382b90000
    0015001c662f2f3439396b39353464364f4c33346f4c39465354767936347341
    0014000b6578616d706c652e6f726700
    00080014f67024656dd64a3e02b8e0712e85c9a28ca89666";
/// Of the first three.
const PASSWORD: &[u8] = b"VOkJxbRl1RmTxUk/WvJxBt";

fn bytes(hex: &str) -> Vec<u8> {
    let digits: String = hex.split_whitespace().collect();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex")).collect()
}

fn read(raw: &[u8]) -> Option<Message> {
    let mut message = Message::new();
    message.unmarshal_binary(raw).ok().map(|()| message)
}

/// Whether its fingerprint and its integrity are those that the password gives.
fn is_sound(raw: &[u8], password: &[u8]) -> bool {
    let provider = default_provider().expect("the stack's cryptography");
    read(raw).is_some_and(|mut message| {
        FingerprintAttr.check(&message).is_ok()
            && MessageIntegrity::check(&mut message, password, provider.crypto()).is_ok()
    })
}

fn text(message: &Message, attribute: rtc_stun::attributes::AttrType) -> String {
    TextAttribute::get_from_as(message, attribute).expect("it is there").text
}

#[test]
fn the_published_stun_messages_are_read_and_their_integrity_holds() {
    for (vector, kind, software) in [
        (REQUEST, BINDING_REQUEST, "STUN test client"),
        (RESPONSE_IPV4, BINDING_SUCCESS, "test vector"),
        (RESPONSE_IPV6, BINDING_SUCCESS, "test vector"),
    ] {
        let raw = bytes(vector);
        assert!(is_sound(&raw, PASSWORD) && !is_sound(&raw, b"another password"));
        for bit in 0..raw.len() * 8 {
            let mut altered = raw.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_sound(&altered, PASSWORD), "bit {bit}");
        }
        let message = read(&raw).expect("a message");
        assert_eq!((message.typ, text(&message, ATTR_SOFTWARE).as_str()), (kind, software));
        assert_eq!(message.transaction_id.0.to_vec(), bytes("b7e7a701bc34d686fa87dfae"));
    }
    let request = read(&bytes(REQUEST)).expect("a message");
    assert_eq!(text(&request, ATTR_USERNAME), "evtj:h6vY");
    assert_eq!(request.get(ATTR_PRIORITY).expect("a priority"), [0x6e, 0, 1, 0xff]);
    assert_eq!(request.get(ATTR_ICE_CONTROLLED).expect("a tie-breaker"), bytes("932ff9b151263b36"));
    for (vector, address) in [(RESPONSE_IPV4, "192.0.2.1"), (RESPONSE_IPV6, "2001:db8:1234:5678:11:2233:4455:6677")] {
        let mut mapped = XorMappedAddress::default();
        mapped.get_from(&read(&bytes(vector)).expect("a message")).expect("an address");
        assert_eq!((mapped.ip.to_string().as_str(), mapped.port), (address, 32_853));
    }
}

/// The only one of them whose padding is zeros, as everyone writes it today: it can be composed again, byte for byte.
#[test]
fn the_published_request_with_long_term_credentials_comes_out_byte_for_byte() {
    let provider = default_provider().expect("the stack's cryptography");
    let (user, realm) = ("\u{30de}\u{30c8}\u{30ea}\u{30c3}\u{30af}\u{30b9}", "example.org");
    // The password after SASLprep.
    let integrity = MessageIntegrity::new_long_term_integrity_with_provider(
        user.to_owned(),
        realm.to_owned(),
        "TheMatrIX".to_owned(),
        provider.crypto(),
    );
    let transaction: [u8; 12] = bytes("78ad3433c6ad72c029da412e").try_into().expect("twelve bytes");
    let attribute = |attr, text: &str| Box::new(TextAttribute { attr, text: text.to_owned() }) as Box<dyn Setter>;
    let mut message = Message::new();
    let composed = message.build(&[
        Box::new(BINDING_REQUEST),
        Box::new(TransactionId(transaction)),
        attribute(ATTR_USERNAME, user),
        attribute(ATTR_NONCE, "f//499k954d6OL34oL9FSTvy64sA"),
        attribute(ATTR_REALM, realm),
        Box::new(integrity.expect("a key")),
    ]);
    composed.expect("a message");
    assert_eq!(message.raw, bytes(LONG_TERM));
}
