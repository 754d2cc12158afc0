//! Those who hold the link and do not keep to the rules: passed-on signatures, replays, bad keys.

use super::*;

/// Eve answers Al's beginning by hand, with a payload of her making.
fn forged_answer(
    keys: &SessionKeys,
    eve: &Person,
    al: TransportId,
    one: &[u8],
    make: impl FnOnce(&Pending) -> Payload,
) -> Vec<u8> {
    let mut rng = StdRng::seed_from_u64(5);
    let mut pending = Pending::new(Side::Responder, keys, &eve.local(), al, &mut rng).unwrap();
    let key = pending.read(MessageKind::Handshake1, one).unwrap();
    let (ciphertext, _) = kem::EncapsulationKey::parse(key.first_chunk().unwrap()).unwrap().encapsulate(&mut rng);
    let payload = make(&pending).write().unwrap();
    pending.write(MessageKind::Handshake2, &[ciphertext.as_slice(), &payload].concat()).unwrap()
}

/// What `person` would say of itself, truly, as the given side.
fn presented(pending: &Pending, side: Side, person: &Person) -> Payload {
    let hash = pending.noise.get_handshake_hash();
    let signed = pending.signed(side, hash, &pending.static_public, &person.transport);
    Payload {
        identity: person.identity.public(),
        signature: person.identity.sign(&signed),
        name: person.name.into(),
        capabilities: 0,
        ratchet: *KeyPair::generate(&mut StdRng::seed_from_u64(6)).public(),
    }
}

#[test]
fn a_member_cannot_pass_off_a_signature_made_for_it() {
    // Eve holds the link and talks to Al; she presents Al's identity key with a signature of her own.
    let (keys, mut al, eve) = (session(1), Person::new("Al", 1), Person::new("Eve", 3));
    let (initiator, one) = al.start(&keys, eve.transport);
    let two = forged_answer(&keys, &eve, al.transport, &one, |pending| Payload {
        identity: al.identity.public(),
        ..presented(pending, Side::Responder, &eve)
    });
    assert_eq!(al.finish(initiator, &two).err(), Some(HandshakeError::Refused));
    // Nor does a true signature of the other role help.
    let (initiator, one) = al.start(&keys, eve.transport);
    let two = forged_answer(&keys, &eve, al.transport, &one, |pending| presented(pending, Side::Initiator, &eve));
    assert_eq!(al.finish(initiator, &two).err(), Some(HandshakeError::Refused));
    // The way of doing it is right: the true one is taken.
    let (initiator, one) = al.start(&keys, eve.transport);
    let two = forged_answer(&keys, &eve, al.transport, &one, |pending| presented(pending, Side::Responder, &eve));
    assert!(al.finish(initiator, &two).is_ok());
}

/// Unknown key share: Al shakes hands with Eve, who presents his identity and his signature to Bo as if Al were calling.
#[test]
fn a_proof_made_for_one_is_worth_nothing_to_another() {
    let (keys, mut al, mut bo, mut eve) =
        (session(1), Person::new("Al", 1), Person::new("Bo", 2), Person::new("Eve", 3));
    let (initiator, one) = al.start(&keys, eve.transport);
    let (of_eve, two) = eve.answer(&keys, al.transport, &one).unwrap();
    let (three, _) = al.finish(initiator, &two).unwrap();
    let Responder { mut pending, .. } = of_eve;
    let ([], of_al) = pending.read_payload(MessageKind::Handshake3, &three).unwrap();

    // Over her own connection, and as if it were Al's: in neither case does his signature cover what Bo sees.
    for pretended in [eve.transport, al.transport] {
        let as_eve = Person { transport: pretended, ..Person::new("Al", 3) };
        let mut rng = StdRng::seed_from_u64(5);
        let (Initiator { mut pending, kem }, one) =
            Initiator::start(&keys, &as_eve.local(), bo.transport, &mut rng).unwrap();
        let (of_bo, two) = bo.answer(&keys, pretended, &one).unwrap();
        let (ciphertext, _) = pending.read_payload::<{ kem::CIPHERTEXT_LEN }>(MessageKind::Handshake2, &two).unwrap();
        kem.decapsulate(&ciphertext);
        let payload = Payload {
            identity: of_al.identity,
            signature: of_al.signature,
            name: of_al.name.clone(),
            capabilities: 0,
            ratchet: of_al.ratchet,
        };
        let three = pending.write(MessageKind::Handshake3, &payload.write().unwrap()).unwrap();
        assert_eq!(of_bo.finish(*NOW, &bo.local(), &three).err(), Some(HandshakeError::Refused));
    }
}

/// Any one of the parts would do against the attack above, and each is there: role, session, hash, Noise static, transport identity.
#[test]
fn a_signature_covers_all_that_the_specification_says() {
    let (keys, mut al, mut bo) = (session(1), Person::new("Al", 1), Person::new("Bo", 2));
    for altered in [None, Some(0), Some(1), Some(2), Some(3), Some(4), Some(5)] {
        let (Initiator { mut pending, .. }, one) = al.start(&keys, bo.transport);
        let (responder, two) = bo.answer(&keys, al.transport, &one).unwrap();
        pending.read_payload::<{ kem::CIPHERTEXT_LEN }>(MessageKind::Handshake2, &two).unwrap();
        let mut parts = [
            b"resonance/v1/identity".to_vec(),
            vec![0],
            keys.session_id.as_bytes().to_vec(),
            pending.noise.get_handshake_hash().to_vec(),
            pending.static_public.to_vec(),
            al.transport.peer_id_bytes().to_vec(),
        ];
        if let Some(part) = altered {
            *parts[part].last_mut().unwrap() ^= 1;
        }
        let signature = al.identity.sign(&parts.concat());
        let payload = Payload { signature, ..presented(&pending, Side::Initiator, &al) };
        let three = pending.write(MessageKind::Handshake3, &payload.write().unwrap()).unwrap();
        assert_eq!(responder.finish(*NOW, &bo.local(), &three).is_ok(), altered.is_none(), "part {altered:?}");
    }
}

/// Message 1 may be answered again, but that leads nowhere; the others are worth nothing the second time.
#[test]
fn a_replayed_handshake_leads_nowhere() {
    let (keys, mut al, mut bo) = (session(1), Person::new("Al", 1), Person::new("Bo", 2));
    let (initiator, one) = al.start(&keys, bo.transport);
    let (responder, two) = bo.answer(&keys, al.transport, &one).unwrap();
    let (three, mut at_al) = al.finish(initiator, &two).unwrap();
    responder.finish(*NOW, &bo.local(), &three).unwrap();
    let said = at_al.channel.seal(*NOW, &Signal::Ping { id: 1 }, &mut StdRng::seed_from_u64(1)).unwrap();

    let (responder, answer) = bo.answer(&keys, al.transport, &one).unwrap();
    assert_ne!(answer, two);
    assert_eq!(responder.finish(*NOW, &bo.local(), &three).err(), Some(HandshakeError::Refused));
    let (initiator, _) = al.start(&keys, bo.transport);
    assert_eq!(al.finish(initiator, &two).err(), Some(HandshakeError::Refused));
    let (_, mut new) = handshake(&keys, &mut al, &mut bo);
    assert_eq!(new.channel.open(*NOW, &said), Err(ChannelError::Refused));
}

#[test]
fn a_bad_ml_kem_key_in_message_1_is_refused_before_any_diffie_hellman() {
    let (keys, al, mut bo) = (session(1), Person::new("Al", 1), Person::new("Bo", 2));
    let mut rng = StdRng::seed_from_u64(5);
    for (bad, taken) in [(Some(0xFF), false), (None, true)] {
        let mut key = kem::DecapsulationKey::generate(&mut rng).encapsulation_key();
        if let Some(bad) = bad {
            key[..2].fill(bad);
        }
        let mut pending = Pending::new(Side::Initiator, &keys, &al.local(), bo.transport, &mut rng).unwrap();
        let one = pending.write(MessageKind::Handshake1, key.as_slice()).unwrap();
        DH_COUNT.set(0);
        assert_eq!(bo.answer(&keys, al.transport, &one).is_ok(), taken);
        assert_eq!(DH_COUNT.get() > 0, taken);
    }
}

#[test]
fn a_ratchet_key_of_small_order_is_refused_on_either_side() {
    let (keys, mut al, mut bo) = (session(1), Person::new("Al", 1), Person::new("Bo", 2));
    for point in crate::x25519::tests::small_order_points() {
        let (initiator, one) = al.start(&keys, bo.transport);
        let two = forged_answer(&keys, &bo, al.transport, &one, |pending| Payload {
            ratchet: point,
            ..presented(pending, Side::Responder, &bo)
        });
        assert_eq!(al.finish(initiator, &two).err(), Some(HandshakeError::Refused));

        let (Initiator { mut pending, .. }, one) = al.start(&keys, bo.transport);
        let (responder, two) = bo.answer(&keys, al.transport, &one).unwrap();
        pending.read_payload::<{ kem::CIPHERTEXT_LEN }>(MessageKind::Handshake2, &two).unwrap();
        let payload = Payload { ratchet: point, ..presented(&pending, Side::Initiator, &al) };
        let three = pending.write(MessageKind::Handshake3, &payload.write().unwrap()).unwrap();
        assert_eq!(responder.finish(*NOW, &bo.local(), &three).err(), Some(HandshakeError::Refused));
    }
}

/// The handshake itself cannot show it: therefore nobody is announced before a message has opened each way.
#[test]
fn a_wrong_ml_kem_secret_shows_at_the_first_message_through_the_channel() {
    let (keys, mut al, mut bo) = (session(1), Person::new("Al", 1), Person::new("Bo", 2));
    let (initiator, one) = al.start(&keys, bo.transport);
    let (mut responder, two) = bo.answer(&keys, al.transport, &one).unwrap();
    responder.hybrid[0] ^= 1;
    let (three, mut at_al) = al.finish(initiator, &two).unwrap();
    let mut at_bo = responder.finish(*NOW, &bo.local(), &three).unwrap();
    let ping = Signal::Ping { id: 1 };
    assert_eq!(pass(&mut at_al.channel, &mut at_bo.channel, &ping), Err(ChannelError::Refused));
    assert_eq!(pass(&mut at_bo.channel, &mut at_al.channel, &ping), Err(ChannelError::Refused));
}
