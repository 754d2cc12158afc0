#!/usr/bin/env python3
"""An independent reading of SPEC.md: composes numbers of everything that resonance adds to the standards it uses.

    python3 reference.py > ../vectors/resonance.txt      needs the package `cryptography`

Only SHA-2, HMAC, X25519, Ed25519 and ChaCha20-Poly1305 come from libraries; HKDF, base58, CBOR, Noise and SFrame are
written out here, so that a mistake in the Rust crates or in our use of them shows as a difference.
"""

import hashlib
import struct

import people
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import media
from media import expand, extract


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def raw(public_key):
    return public_key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def show(name, value):
    print(f"{name}={value.hex() if isinstance(value, bytes) else value}")


# Link

def base58(data):
    alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    number, text = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = alphabet[digit] + text
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + text


def link(host, authority_hash, secret, expires, hints):
    body = bytes([1, 0]) + struct.pack(">Q", expires) + host + authority_hash + secret + b"".join(hints)
    return "resonance:" + base58(body + sha256(b"resonance/v1/link", body)[:4])


def keys(host, authority_hash, secret, expires):
    session = sha256(b"resonance/v1/session", host, authority_hash)[:16]
    prk = extract(sha256(bytes([1, 0]), struct.pack(">Q", expires), host, authority_hash), secret)
    return session, prk


# CBOR, as far as it is needed

def head(major, number):
    if number < 24:
        return bytes([major << 5 | number])
    for code, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if number < 1 << 8 * size:
            return bytes([major << 5 | code]) + number.to_bytes(size, "big")
    raise ValueError(number)


def cbor(value):
    if isinstance(value, int):
        return head(0, value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, dict):
        return head(5, len(value)) + b"".join(cbor(key) + cbor(item) for key, item in value.items())
    raise TypeError(value)


def padded(data, *classes):
    data = struct.pack(">H", len(data)) + data
    return data.ljust(next(size for size in classes if len(data) <= size), b"\0")


# Noise XXpsk0 (revision 34), both sides at once

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


def payload(identity, name, signed):
    fields = {1: raw(identity.public_key()), 2: identity.sign(signed), 3: name, 4: 0}
    return padded(cbor(fields), 256)


def handshake(session, psk, initiator, responder):
    """Each side: transport, identity, static, ephemeral, name. Gives the three messages and both transport keys."""
    (i_transport, i_identity, i_static, i_ephemeral, i_name) = initiator
    (r_transport, r_identity, r_static, r_ephemeral, r_name) = responder
    noise = Noise(b"resonance/v1" + session + peer_id(i_transport) + peer_id(r_transport), psk)

    def signed(role, static, transport):
        hash_before = noise.h
        return b"resonance/v1/identity" + bytes([role]) + session + hash_before + raw(static.public_key()) + peer_id(transport)

    one = b"\1" + noise.ephemeral(i_ephemeral) + noise.seal(b"")
    proof = signed(1, r_static, r_transport)
    two = b"\2" + noise.ephemeral(r_ephemeral)
    noise.dh(r_ephemeral, raw(i_ephemeral.public_key()))
    two += noise.seal(raw(r_static.public_key()))
    noise.dh(r_static, raw(i_ephemeral.public_key()))
    two += noise.seal(payload(r_identity, r_name, proof))
    proof = signed(0, i_static, i_transport)
    three = b"\3" + noise.seal(raw(i_static.public_key()))
    noise.dh(i_static, raw(r_ephemeral.public_key()))
    three += noise.seal(payload(i_identity, i_name, proof))
    return one, two, three, noise.hkdf(b"", 2)


def channel(key, nonce, signal):
    text = padded(cbor(signal), 256, 1024, 4096, 16384)
    return b"\4" + struct.pack(">Q", nonce) + ChaCha20Poly1305(key).encrypt(bytes(4) + struct.pack("<Q", nonce), text, None)


# Safety number

def half(key, stable_id):
    digest = b"\0\0" + key + stable_id
    for _ in range(5200):
        digest = hashlib.sha512(digest + key).digest()
    return "".join(f"{int.from_bytes(digest[i:i + 5], 'big') % 100000:05}" for i in range(0, 30, 5))


def main():
    print("# Composed by tests/reference/reference.py, not by the code that is tested against it.")

    def bytes_from(start, count):
        return bytes((start + i) % 256 for i in range(count))

    al_transport, bo_transport = bytes_from(0x20, 32), bytes_from(0x60, 32)
    authority = Ed25519PrivateKey.from_private_bytes(bytes_from(0x01, 32))
    authority_hash = sha256(raw(authority.public_key()))[:16]
    secret, expires = bytes_from(0xA0, 16), 1900000000
    hints = [bytes([0, 192, 0, 2, 7]) + struct.pack(">H", 4001), bytes([3]) + bytes.fromhex("20010db8") + bytes(11) + b"\1" + struct.pack(">H", 443)]
    show("authority_hash", authority_hash)
    show("link", link(al_transport, authority_hash, secret, expires, hints))
    session, prk = keys(al_transport, authority_hash, secret, expires)
    psk = expand(prk, b"resonance/v1/psk", 32)
    show("session_id", session)
    show("rendezvous_key", expand(prk, b"resonance/v1/rendezvous" + struct.pack(">Q", 1800000000 // 3600), 32))
    room = "caf\u00e9".encode()
    lan_prk = extract(b"", b"resonance/v1/lan" + room)
    show("lan_session_id", sha256(b"resonance/v1/lan-session", room)[:16])
    show("lan_rendezvous_key", expand(lan_prk, b"resonance/v1/rendezvous" + struct.pack(">Q", 0), 32))

    al_identity = Ed25519PrivateKey.from_private_bytes(bytes_from(0x11, 32))
    bo_identity = Ed25519PrivateKey.from_private_bytes(bytes_from(0x33, 32))
    al_key, bo_key = raw(al_identity.public_key()), raw(bo_identity.public_key())
    fingerprint = sha256(b"resonance/v1/identity-fingerprint", al_key)[:16]
    show("al_identity", al_key)
    show("bo_identity", bo_key)
    show("al_fingerprint", fingerprint)
    x25519 = X25519PrivateKey.from_private_bytes
    bo = (bo_transport, bo_identity, x25519(bytes_from(0x41, 32)), x25519(bytes_from(0x71, 32)), "Bo")
    al = (al_transport, al_identity, x25519(bytes_from(0x51, 32)), x25519(bytes_from(0x81, 32)), "Al \U0001F3A7")
    one, two, three, (of_initiator, of_responder) = handshake(session, psk, bo, al)
    show("handshake_1", one)
    show("handshake_2", two)
    show("handshake_3", three)

    recipients = sha256(b"resonance/v1/recipients", b"\2", *sorted([al_key, bo_key]))
    base_key, generation, step = bytes_from(0xC0, 32), 300, 0
    hop_key = bytes_from(0x90, 32)
    media_key = {0: 4, 1: generation, 2: step, 3: base_key, 4: recipients, 5: hop_key, 6: 0}
    show("recipients_hash", recipients)
    show("channel_of_responder_0", channel(of_responder, 0, media_key))
    show("channel_of_initiator_0", channel(of_initiator, 0, {0: 9, 1: "hello"}))
    show("channel_of_initiator_1", channel(of_initiator, 1, {0: 5, 1: generation}))
    frame = bytes([0]) + struct.pack(">I", 480) + bytes_from(0xE0, 40)
    show("frame", frame)
    for name, value in media.trace(base_key, generation, session, fingerprint, frame, hop_key, al_transport, bo_transport):
        show(name, value)
    numbers = "".join(sorted([half(al_key, b"resonance/v1/safety-number"), half(bo_key, b"resonance/v1/safety-number")]))
    show("safety_number", " ".join(numbers[i:i + 5] for i in range(0, 60, 5)))
    people.compose(show)


main()
