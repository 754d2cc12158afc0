#!/usr/bin/env python3
"""An independent reading of SPEC.md: composes numbers of everything that resonance adds to the standards it uses.

    python3 reference.py > ../vectors/resonance.txt      needs the package `cryptography`, 48 or newer

SHA-2, SHA-3, HMAC, X25519, Ed25519, ChaCha20-Poly1305 and ML-KEM's keys come from libraries; HKDF, base58, CBOR, Noise,
ML-KEM's encapsulation, the ratchet and SFrame are written out in this folder, so that a mistake in the Rust crates or in
our use of them shows as a difference.
"""

import hashlib
import struct

import media
import people
import ratchet
from basics import bytes_from, expand, extract, raw, sha256
from handshake import handshake
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey


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


# Safety number

def half(key, stable_id):
    digest = b"\0\0" + key + stable_id
    for _ in range(5200):
        digest = hashlib.sha512(digest + key).digest()
    return "".join(f"{int.from_bytes(digest[i:i + 5], 'big') % 100000:05}" for i in range(0, 30, 5))


# Channel

def conversation(context, root, initiator_key, responder_key, media_key):
    """Both begin at once; a message is lost, another overtaken; after ten minutes ML-KEM is mixed in."""
    x25519 = X25519PrivateKey.from_private_bytes
    bo = ratchet.Side.initiator(context, root, initiator_key, raw(responder_key.public_key()))
    al = ratchet.Side.responder(context, root, responder_key, raw(initiator_key.public_key()))

    def say(name, sender, receiver, signal, second=0, arrives=True):
        message = sender.seal(second, signal)
        show(name, message)
        if arrives:
            receiver.open(message)
        return message

    def ping(number):
        return {0: 10, 1: number}

    def pong(number):
        return {0: 11, 1: number}

    al.begins(x25519(bytes_from(0x03, 32)))
    first = say("channel_1_of_responder", al, bo, media_key, arrives=False)
    say("channel_2_of_initiator", bo, al, {0: 9, 1: "hello", 2: 1}, arrives=False)
    overtaken = say("channel_3_of_initiator", bo, al, {0: 5, 1: media_key[1]}, arrives=False)
    bo.open(first)
    bo.begins(x25519(bytes_from(0x13, 32)))
    say("channel_4_of_initiator", bo, al, ping(1))
    al.open(overtaken)
    al.begins(x25519(bytes_from(0x23, 32)))
    say("channel_5_of_responder", al, bo, pong(1))
    bo.begins(x25519(bytes_from(0x33, 32)), kem_seed=bytes_from(0x43, 64))
    say("channel_6_of_initiator_after_600_s", bo, al, ping(2), second=600, arrives=False)
    say("channel_7_of_initiator", bo, al, ping(3), second=600)
    al.begins(x25519(bytes_from(0x53, 32)), kem_message=bytes_from(0x63, 32))
    say("channel_8_of_responder", al, bo, pong(2), second=600, arrives=False)
    say("channel_9_of_responder", al, bo, pong(3), second=600)
    bo.begins(x25519(bytes_from(0x73, 32)))
    say("channel_10_of_initiator", bo, al, ping(4), second=601)
    al.begins(x25519(bytes_from(0x83, 32)))
    say("channel_11_of_responder", al, bo, pong(4), second=601)


def main():
    print("# Composed by tests/reference/reference.py, not by the code that is tested against it.")

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
    bo = (bo_transport, bo_identity, x25519(bytes_from(0x41, 32)), x25519(bytes_from(0x71, 32)), bytes_from(0x91, 64), x25519(bytes_from(0x21, 32)), "Bo")
    al = (al_transport, al_identity, x25519(bytes_from(0x51, 32)), x25519(bytes_from(0x81, 32)), bytes_from(0x61, 32), x25519(bytes_from(0x31, 32)), "Al \U0001F3A7")
    one, two, three, root = handshake(session, psk, bo, al)
    show("handshake_1", one)
    show("handshake_2", two)
    show("handshake_3", three)
    show("root", root)

    recipients = sha256(b"resonance/v1/recipients", b"\2", *sorted([al_key, bo_key]))
    base_key, generation, step, hop_key = bytes_from(0xC0, 32), 300, 0, bytes_from(0x90, 32)
    media_key = {0: 4, 1: generation, 2: step, 3: base_key, 4: recipients, 5: hop_key, 6: 0}
    show("recipients_hash", recipients)
    conversation(session + bo_key + al_key, root, bo[5], al[5], media_key)
    frame = bytes([0]) + struct.pack(">I", 480) + bytes_from(0xE0, 40)
    show("frame", frame)
    for name, value in media.trace(base_key, generation, session, fingerprint, frame, hop_key, al_transport, bo_transport):
        show(name, value)
    numbers = "".join(sorted([half(al_key, b"resonance/v1/safety-number"), half(bo_key, b"resonance/v1/safety-number")]))
    show("safety_number", " ".join(numbers[i:i + 5] for i in range(0, 60, 5)))
    people.compose(show, session, authority)


main()
