//! What is sealed: a CBOR map, so that later versions may add fields. 1 identity secret (32 bytes), 2 name (text),
//! 3 contacts: an array of maps: 1 identity key, 2 name, 3 first met, 4 last met (Unix seconds), 5 verified.

use super::KeptIdentity;
use crate::contacts::{Contact, ContactBook};
use crate::identity::IdentityPublic;
use minicbor::{Decoder, Encoder};
use zeroize::Zeroizing;

/// `None` when the name is too long.
pub(super) fn write(identity: &KeptIdentity) -> Option<Zeroizing<Vec<u8>>> {
    (identity.name.len() <= Contact::MAX_NAME).then_some(())?;
    // As large as it gets, so that no outgrown buffer stays behind in memory.
    let mut cbor = Zeroizing::new(Vec::with_capacity(KeptIdentity::MAX_FILE));
    let mut out = Encoder::new(&mut *cbor);
    out.map(3).ok()?.u8(1).ok()?.bytes(identity.secret.as_slice()).ok()?;
    out.u8(2).ok()?.str(&identity.name).ok()?;
    out.u8(3).ok()?.array(identity.contacts.iter().len() as u64).ok()?;
    for (key, contact) in identity.contacts.iter() {
        out.map(5).ok()?.u8(1).ok()?.bytes(key.as_bytes()).ok()?.u8(2).ok()?.str(&contact.name).ok()?;
        out.u8(3).ok()?.u64(contact.first_met).ok()?.u8(4).ok()?.u64(contact.last_met).ok()?;
        out.u8(5).ok()?.bool(contact.verified).ok()?;
    }
    Some(cbor)
}

/// `None` when it is not what [`write`] wrote: something missing, twice, out of bounds, or behind the end.
pub(super) fn read(cbor: &[u8]) -> Option<KeptIdentity> {
    let mut map = Decoder::new(cbor);
    let (mut secret, mut name, mut contacts) = (None, None, None);
    for _ in 0..map.map().ok()?? {
        let new = match map.u32().ok()? {
            1 => secret.replace(Zeroizing::new(<[u8; 32]>::try_from(map.bytes().ok()?).ok()?)).is_none(),
            2 => name.replace(bounded_name(&mut map)?).is_none(),
            3 => contacts.replace(read_contacts(&mut map)?).is_none(),
            _ => map.skip().is_ok(),
        };
        new.then_some(())?;
    }
    (map.position() == cbor.len()).then_some(())?;
    Some(KeptIdentity { secret: secret?, name: name?, contacts: contacts? })
}

fn read_contacts(map: &mut Decoder<'_>) -> Option<ContactBook> {
    let mut book = ContactBook::default();
    let count = map.array().ok()??;
    (count <= ContactBook::MAX as u64).then_some(())?;
    for _ in 0..count {
        let (key, contact) = read_contact(map)?;
        book.get(&key).is_none().then_some(())?;
        book.insert(key, contact);
    }
    Some(book)
}

fn read_contact(map: &mut Decoder<'_>) -> Option<(IdentityPublic, Contact)> {
    let (mut key, mut name, mut first_met, mut last_met, mut verified) = (None, None, None, None, None);
    for _ in 0..map.map().ok()?? {
        let new = match map.u32().ok()? {
            1 => key.replace(IdentityPublic::from_bytes(map.bytes().ok()?.try_into().ok()?)).is_none(),
            2 => name.replace(bounded_name(map)?).is_none(),
            3 => first_met.replace(map.u64().ok()?).is_none(),
            4 => last_met.replace(map.u64().ok()?).is_none(),
            5 => verified.replace(map.bool().ok()?).is_none(),
            _ => map.skip().is_ok(),
        };
        new.then_some(())?;
    }
    Some((key?, Contact { name: name?, first_met: first_met?, last_met: last_met?, verified: verified? }))
}

fn bounded_name(map: &mut Decoder<'_>) -> Option<String> {
    map.str().ok().filter(|name| name.len() <= Contact::MAX_NAME).map(str::to_owned)
}
