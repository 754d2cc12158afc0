//! Noise_XXpsk0_25519_ChaChaPoly_SHA256 by `snow`, with randomness handed in and an X25519 that refuses all-zero results.

use crate::x25519::KeyPair;
use rand_core::CryptoRng;
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::types::{Cipher, Dh, Hash, Random};
use snow::{Builder, HandshakeState};
use zeroize::Zeroizing;

pub(super) const PATTERN: &str = "Noise_XXpsk0_25519_ChaChaPoly_SHA256";

/// Which side of the handshake.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Initiator,
    Responder,
}

/// The Noise keys of one handshake, drawn before it starts.
pub(super) struct Drawn {
    pub statik: KeyPair,
    pub ephemeral: Zeroizing<[u8; 32]>,
}

impl Drawn {
    pub fn new(rng: &mut impl CryptoRng) -> Self {
        let statik = KeyPair::generate(rng);
        let mut ephemeral = Zeroizing::new([0; 32]);
        rng.fill_bytes(ephemeral.as_mut_slice());
        Self { statik, ephemeral }
    }
}

/// The state before the first message.
pub(super) fn start(side: Side, drawn: Drawn, psk: &[u8; 32], prologue: &[u8]) -> Result<HandshakeState, snow::Error> {
    let builder = Builder::with_resolver(PATTERN.parse()?, Box::new(Resolver { ephemeral: drawn.ephemeral }))
        .local_private_key(drawn.statik.private())?
        .psk(0, psk)?
        .prologue(prologue)?;
    match side {
        Side::Initiator => builder.build_initiator(),
        Side::Responder => builder.build_responder(),
    }
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

/// Our key pair, once it is set or drawn.
#[derive(Default)]
struct X25519(Option<KeyPair>);

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
        // Only ever called with the 32 bytes of a drawn key; anything else would leave a pair that agrees on nothing.
        self.0 = private.first_chunk().map(|private| KeyPair::from_private(Zeroizing::new(*private)));
    }

    fn generate(&mut self, rng: &mut dyn Random) -> Result<(), snow::Error> {
        let mut private = Zeroizing::new([0; 32]);
        rng.try_fill_bytes(private.as_mut_slice())?;
        self.0 = Some(KeyPair::from_private(private));
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |pair| pair.public().as_slice())
    }

    fn privkey(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |pair| pair.private().as_slice())
    }

    /// Refuses what `snow` would take: an all-zero result.
    fn dh(&self, theirs: &[u8], out: &mut [u8]) -> Result<(), snow::Error> {
        let shared = theirs.first_chunk().and_then(|theirs| self.0.as_ref()?.agree(theirs)).ok_or(snow::Error::Dh)?;
        out.first_chunk_mut().map(|out| *out = *shared).ok_or(snow::Error::Dh)
    }
}

#[cfg(test)]
mod tests;
