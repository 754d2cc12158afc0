use super::*;
use crate::contacts::Contact;
use argon2::{AssociatedData, ParamsBuilder};
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};

/// As little work as Argon2 does, so that thousands of files can be tried.
const CHEAP: Costs = Costs { passes: 1, memory_kib: 8, lanes: 1 };

fn somebody(rng: &mut StdRng) -> KeptIdentity {
    let mut identity = KeptIdentity::generate("Zoë 🦊", rng);
    for number in 0..rng.random_range(0..5) {
        let mut key = [0; 32];
        rng.fill_bytes(&mut key);
        let (first_met, last_met) = (rng.random(), rng.random());
        let contact = Contact { name: format!("Bo {number}"), first_met, last_met, verified: rng.random() };
        identity.contacts.insert(IdentityPublic::from_bytes(key), contact);
    }
    identity
}

/// Puts the right checksum behind altered bytes, as somebody who alters with care does.
fn with_checksum(mut file: Vec<u8>) -> Vec<u8> {
    file.truncate(file.len() - CHECKSUM_LEN);
    let checksum = checksum(&file);
    file.extend_from_slice(&checksum);
    file
}

/// RFC 9106 §5.3.
#[test]
fn argon2id_is_that_of_rfc_9106() {
    let mut params = ParamsBuilder::new();
    params.m_cost(32).t_cost(3).p_cost(4).output_len(32).data(AssociatedData::new(&[4; 12]).unwrap());
    let argon2 =
        Argon2::new_with_secret(&[3; 8], Algorithm::Argon2id, Version::V0x13, params.build().unwrap()).unwrap();
    let mut tag = [0; 32];
    argon2.hash_password_into(&[1; 32], &[2; 16], &mut tag).unwrap();
    let shown: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(shown, "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659");
}

#[test]
fn what_was_sealed_opens_and_costs_what_the_rfc_recommends() {
    let mut rng = StdRng::seed_from_u64(1);
    let identity = somebody(&mut rng);
    let file = identity.seal("correct horse", &mut rng).unwrap();
    assert_eq!(Header::parse(&file).unwrap().costs, Costs { passes: 3, memory_kib: 65_536, lanes: 4 });
    let opened = KeptIdentity::open(&file, "correct horse").unwrap();
    assert!(opened.public() == identity.public() && opened.name == identity.name);
    assert_eq!(opened.contacts, identity.contacts);
    let again = identity.seal("correct horse", &mut rng).unwrap();
    assert_ne!(file[20..48], again[20..48], "a fresh salt and nonce each time");
}

#[test]
fn a_wrong_passphrase_is_told_from_damage_and_the_keyboard_makes_no_difference() {
    let mut rng = StdRng::seed_from_u64(2);
    let file = somebody(&mut rng).seal_at(CHEAP, "caf\u{e9}", &mut rng).unwrap();
    assert!(KeptIdentity::open(&file, "cafe\u{301}").is_ok(), "composed or not");
    assert_eq!(KeptIdentity::open(&file, "cafe").err(), Some(OpenError::Refused));
    assert_eq!(KeptIdentity::open(&file, "").err(), Some(OpenError::Refused));
    assert_eq!(somebody(&mut rng).seal_at(CHEAP, "", &mut rng).err(), Some(SealError::EmptyPassphrase));
}

#[test]
fn any_altered_byte_of_the_file_is_refused() {
    let mut rng = StdRng::seed_from_u64(3);
    let file = somebody(&mut rng).seal_at(CHEAP, "p", &mut rng).unwrap();
    for at in 0..file.len() {
        let mut altered = file.clone();
        altered[at] ^= 1 << rng.random_range(0..8);
        assert_eq!(KeptIdentity::open(&altered, "p").err(), Some(OpenError::Damaged), "byte {at}");
    }
    for len in 0..file.len() {
        assert_eq!(KeptIdentity::open(&file[..len], "p").err(), Some(OpenError::Damaged), "cut to {len}");
    }
}

/// The checksum protects from accidents; against intent there is the seal, over the header too.
#[test]
fn whoever_mends_the_checksum_is_refused_by_the_seal() {
    let mut rng = StdRng::seed_from_u64(4);
    let file = somebody(&mut rng).seal_at(CHEAP, "p", &mut rng).unwrap();
    for at in 0..file.len() - CHECKSUM_LEN {
        let mut altered = file.clone();
        altered[at] ^= 1 << rng.random_range(0..8);
        let error = KeptIdentity::open(&with_checksum(altered), "p").err();
        let expected: &[OpenError] = match at {
            0..7 => &[OpenError::Damaged],
            7 => &[OpenError::OtherVersion],
            8..20 => &[OpenError::TooDear, OpenError::Refused],
            _ => &[OpenError::Refused],
        };
        assert!(error.is_some_and(|error| expected.contains(&error)), "byte {at}: {error:?}");
    }
}

#[test]
fn a_file_that_is_too_long_is_not_even_tried() {
    let mut rng = StdRng::seed_from_u64(7);
    let file = somebody(&mut rng).seal_at(CHEAP, "p", &mut rng).unwrap();
    let of_length = |len: usize| {
        let mut long = file.clone();
        long.resize(len, 0);
        KeptIdentity::open(&with_checksum(long), "p").err()
    };
    assert_eq!(of_length(KeptIdentity::MAX_FILE), Some(OpenError::Refused));
    assert_eq!(of_length(KeptIdentity::MAX_FILE + 1), Some(OpenError::Damaged));
}

#[test]
fn a_file_that_asks_for_too_much_is_refused_before_any_work() {
    let mut rng = StdRng::seed_from_u64(5);
    let file = somebody(&mut rng).seal_at(CHEAP, "p", &mut rng).unwrap();
    let asking = |at: usize, cost: u32| {
        let mut dear = file.clone();
        dear[at..at + 4].copy_from_slice(&cost.to_be_bytes());
        KeptIdentity::open(&with_checksum(dear), "p").err()
    };
    assert_eq!(asking(8, 11), Some(OpenError::TooDear), "eleven passes");
    assert_eq!(asking(12, 1024 * 1024 + 1), Some(OpenError::TooDear), "a kibibyte more than a gibibyte");
    assert_eq!(asking(12, u32::MAX), Some(OpenError::TooDear));
    assert_eq!(asking(16, u32::MAX), Some(OpenError::TooDear));
    for at in [8, 12, 16] {
        assert_eq!(asking(at, 0), Some(OpenError::Refused), "costs that Argon2 does not know");
    }
}

#[test]
fn chance_never_panics() {
    let mut rng = StdRng::seed_from_u64(6);
    for _ in 0..20_000 {
        let mut bytes = vec![0; rng.random_range(0..200)];
        rng.fill_bytes(&mut bytes);
        assert!(cbor::read(&bytes).is_none());
        if bytes.len() >= 20 {
            bytes[..8].copy_from_slice(&MAGIC);
            bytes[8..20].copy_from_slice(&[0, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0, 1]);
        }
        bytes.extend_from_slice(&[0; CHECKSUM_LEN]);
        assert!(KeptIdentity::open(&with_checksum(bytes), "p").is_err());
    }
}

/// Whatever is inside, cut anywhere or with a byte altered: an identity within its bounds, or none.
#[test]
fn the_inside_is_read_with_bounds() {
    let mut rng = StdRng::seed_from_u64(7);
    for _ in 0..200 {
        let written = cbor::write(&somebody(&mut rng)).unwrap();
        for len in 0..written.len() {
            assert!(cbor::read(&written[..len]).is_none());
        }
        for _ in 0..100 {
            let mut altered = written.to_vec();
            let at = rng.random_range(0..altered.len());
            altered[at] ^= 1 << rng.random_range(0..8);
            if let Some(read) = cbor::read(&altered) {
                assert!(read.name.len() <= 64 && read.contacts.iter().all(|(_, contact)| contact.name.len() <= 64));
            }
        }
    }
    let too_long = KeptIdentity { name: "x".repeat(65), ..somebody(&mut rng) };
    assert_eq!(too_long.seal_at(CHEAP, "p", &mut rng).err(), Some(SealError::OutOfBounds));
}

#[test]
fn a_full_book_fits_and_the_size_does_not_count_the_contacts() {
    let mut rng = StdRng::seed_from_u64(8);
    let mut identity = KeptIdentity::generate("Ada", &mut rng);
    let none = identity.seal_at(CHEAP, "p", &mut rng).unwrap().len();
    for number in 0..ContactBook::MAX {
        let mut key = [0; 32];
        rng.fill_bytes(&mut key);
        let name = format!("{number:064}");
        let contact = Contact { name, first_met: u64::MAX, last_met: u64::MAX, verified: true };
        identity.contacts.insert(IdentityPublic::from_bytes(key), contact);
        if number == 20 {
            assert_eq!(identity.seal_at(CHEAP, "p", &mut rng).unwrap().len(), none);
        }
    }
    let file = identity.seal_at(CHEAP, "p", &mut rng).unwrap();
    assert_eq!(KeptIdentity::open(&file, "p").unwrap().contacts, identity.contacts);
}
