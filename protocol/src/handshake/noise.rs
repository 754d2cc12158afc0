//! Noise_XXpsk0_25519_ChaChaPoly_SHA256 by `snow`, with randomness handed in and an X25519 that refuses all-zero results.

use rand_core::CryptoRng;
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::types::{Cipher, Dh, Hash, Random};
use snow::{Builder, HandshakeState};
use subtle::ConstantTimeEq;
use x25519_dalek::{X25519_BASEPOINT_BYTES, x25519};
use zeroize::{Zeroize, Zeroizing};

pub(super) const PATTERN: &str = "Noise_XXpsk0_25519_ChaChaPoly_SHA256";

/// Which side of the handshake.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Initiator,
    Responder,
}

/// The private keys of one handshake, drawn before it starts.
pub(super) struct Drawn {
    pub statik: Zeroizing<[u8; 32]>,
    pub ephemeral: Zeroizing<[u8; 32]>,
}

impl Drawn {
    pub fn new(rng: &mut impl CryptoRng) -> Self {
        let mut drawn = Self { statik: Zeroizing::new([0; 32]), ephemeral: Zeroizing::new([0; 32]) };
        rng.fill_bytes(drawn.statik.as_mut_slice());
        rng.fill_bytes(drawn.ephemeral.as_mut_slice());
        drawn
    }
}

/// The state before the first message.
pub(super) fn start(side: Side, drawn: Drawn, psk: &[u8; 32], prologue: &[u8]) -> Result<HandshakeState, snow::Error> {
    let builder = Builder::with_resolver(PATTERN.parse()?, Box::new(Resolver { ephemeral: drawn.ephemeral }))
        .local_private_key(drawn.statik.as_slice())?
        .psk(0, psk)?
        .prologue(prologue)?;
    match side {
        Side::Initiator => builder.build_initiator(),
        Side::Responder => builder.build_responder(),
    }
}

/// The X25519 public key of a private one.
pub(super) fn public(private: &[u8; 32]) -> [u8; 32] {
    x25519(*private, X25519_BASEPOINT_BYTES)
}

struct Resolver {
    ephemeral: Zeroizing<[u8; 32]>,
}

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(OneDraw(Some(self.ephemeral.clone()))))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        matches!(choice, DHChoice::Curve25519).then(|| Box::<X25519>::default() as Box<dyn Dh>)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        DefaultResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        DefaultResolver.resolve_cipher(choice)
    }
}

/// A handshake draws once: 32 bytes for the ephemeral key. It gets those that were drawn for it, and nothing more.
struct OneDraw(Option<Zeroizing<[u8; 32]>>);

impl Random for OneDraw {
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), snow::Error> {
        let bytes = self.0.take().filter(|bytes| bytes.len() == dest.len()).ok_or(snow::Error::Rng)?;
        dest.copy_from_slice(bytes.as_slice());
        Ok(())
    }
}

#[derive(Default)]
struct X25519 {
    private: Zeroizing<[u8; 32]>,
    public: [u8; 32],
}

impl X25519 {
    fn set_private(&mut self, private: &[u8; 32]) {
        *self.private = *private;
        self.public = public(private);
    }
}

impl Dh for X25519 {
    fn name(&self) -> &'static str {
        "25519"
    }

    fn pub_len(&self) -> usize {
        32
    }

    fn priv_len(&self) -> usize {
        32
    }

    fn set(&mut self, private: &[u8]) {
        // Only ever called with the 32 bytes of a drawn key; anything else would leave a key that agrees on nothing.
        match private.try_into() {
            Ok(private) => self.set_private(private),
            Err(_) => self.private.zeroize(),
        }
    }

    fn generate(&mut self, rng: &mut dyn Random) -> Result<(), snow::Error> {
        let mut private = Zeroizing::new([0; 32]);
        rng.try_fill_bytes(private.as_mut_slice())?;
        self.set_private(&private);
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        &self.public
    }

    fn privkey(&self) -> &[u8] {
        self.private.as_slice()
    }

    /// RFC 7748 §6.1: an all-zero result (a point of small order) is refused, in constant time.
    fn dh(&self, theirs: &[u8], out: &mut [u8]) -> Result<(), snow::Error> {
        #[cfg(test)]
        tests::DH_COUNT.set(tests::DH_COUNT.get() + 1);
        let theirs = theirs.first_chunk().ok_or(snow::Error::Dh)?;
        let shared = Zeroizing::new(x25519(*self.private, *theirs));
        if bool::from(shared.ct_eq(&[0; 32])) {
            return Err(snow::Error::Dh);
        }
        out.get_mut(..32).ok_or(snow::Error::Dh)?.copy_from_slice(shared.as_slice());
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests;
