"""The handshake of SPEC.md §4: Noise XXpsk0 (revision 34), both sides at once, with ML-KEM-768 beside it, up to the root."""

import struct

import mlkem
from basics import cbor, expand, extract, padded, raw, sha256
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305


def peer_id(transport):
    return bytes([0x00, 0x24, 0x08, 0x01, 0x12, 0x20]) + transport


class Noise:
    def __init__(self, prologue, psk):
        self.h = self.ck = sha256(b"Noise_XXpsk0_25519_ChaChaPoly_SHA256")  # 36 bytes: more than a hash
        self.k, self.n = None, 0
        self.mix_hash(prologue)
        temp = self.hkdf(psk, 3)
        self.ck = temp[0]
        self.mix_hash(temp[1])
        self.k, self.n = temp[2], 0

    def hkdf(self, ikm, count):
        return [expand(extract(self.ck, ikm), b"", 32 * count)[32 * i:32 * i + 32] for i in range(count)]

    def mix_hash(self, data):
        self.h = sha256(self.h, data)

    def mix_key(self, ikm):
        self.ck, self.k = self.hkdf(ikm, 2)
        self.n = 0

    def seal(self, data):
        sealed = ChaCha20Poly1305(self.k).encrypt(bytes(4) + struct.pack("<Q", self.n), data, self.h)
        self.n += 1
        self.mix_hash(sealed)
        return sealed

    def ephemeral(self, private):
        public = raw(private.public_key())
        self.mix_hash(public)
        self.mix_key(public)
        return public

    def dh(self, private, public):
        self.mix_key(private.exchange(X25519PublicKey.from_public_bytes(public)))


def payload(identity, name, signed, ratchet):
    fields = {1: raw(identity.public_key()), 2: identity.sign(signed), 3: name, 4: 0, 5: raw(ratchet.public_key())}
    return padded(cbor(fields), 256)


def handshake(session, psk, initiator, responder):
    """Each side: transport, identity, static, ephemeral, ML-KEM randomness, ratchet key, name. Gives the messages and the root."""
    (i_transport, i_identity, i_static, i_ephemeral, kem_seed, i_ratchet, i_name) = initiator
    (r_transport, r_identity, r_static, r_ephemeral, kem_message, r_ratchet, r_name) = responder
    noise = Noise(b"resonance/v1" + session + peer_id(i_transport) + peer_id(r_transport), psk)
    kem_key = mlkem.public(kem_seed)
    ciphertext, ss = mlkem.encapsulate(kem_key, kem_message)
    assert mlkem.decapsulate(kem_seed, ciphertext) == ss

    def signed(role, static, transport):
        hash_before = noise.h
        return b"resonance/v1/identity" + bytes([role]) + session + hash_before + raw(static.public_key()) + peer_id(transport)

    one = b"\1" + noise.ephemeral(i_ephemeral) + noise.seal(kem_key)
    proof = signed(1, r_static, r_transport)
    two = b"\2" + noise.ephemeral(r_ephemeral)
    noise.dh(r_ephemeral, raw(i_ephemeral.public_key()))
    two += noise.seal(raw(r_static.public_key()))
    noise.dh(r_static, raw(i_ephemeral.public_key()))
    two += noise.seal(ciphertext + payload(r_identity, r_name, proof, r_ratchet))
    proof = signed(0, i_static, i_transport)
    three = b"\3" + noise.seal(raw(i_static.public_key()))
    noise.dh(i_static, raw(r_ephemeral.public_key()))
    three += noise.seal(payload(i_identity, i_name, proof, i_ratchet))
    identities = raw(i_identity.public_key()) + raw(r_identity.public_key())
    k1, k2 = noise.hkdf(b"", 2)
    return one, two, three, expand(extract(noise.h, k1 + k2 + ss), b"resonance/v1/root" + identities, 32)
