"""The part of the independent reading that is about people: the sealed identity file and the session's safety number.

Argon2id and ChaCha20-Poly1305 come from the package `cryptography` (48 or newer); CBOR and everything else is written out.
"""

import hashlib
import struct

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def head(major, number):
    for code, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if number < 24:
            return bytes([major << 5 | number])
        if number < 1 << 8 * size:
            return bytes([major << 5 | code]) + number.to_bytes(size, "big")
    raise ValueError(number)


def cbor(value):
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return head(0, value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(cbor, value))
    return head(5, len(value)) + b"".join(cbor(key) + cbor(item) for key, item in value.items())


def identity_file(secret, name, contacts, passphrase, salt, nonce):
    header = b"resoid\0\1" + struct.pack(">III", 3, 64 * 1024, 4) + salt + nonce
    key = Argon2id(salt=salt, length=32, iterations=3, lanes=4, memory_cost=64 * 1024).derive(passphrase.encode())
    people = [dict(enumerate(contact, 1)) for contact in sorted(contacts)]
    text = cbor({1: secret, 2: name, 3: people})
    text = struct.pack(">I", len(text)) + text
    text += bytes(-len(text) % 4096)
    body = header + ChaCha20Poly1305(key).encrypt(nonce, text, b"resonance/v1/identity-file" + header)
    return body + hashlib.sha256(b"resonance/v1/identity-file-checksum" + body).digest()[:8]


def session_number(keys):
    digest = b"resonance/v1/session-number" + bytes([len(keys)]) + b"".join(sorted(keys))
    for _ in range(5200):
        digest = hashlib.sha512(digest).digest()
    return " ".join(f"{int.from_bytes(digest[i:i + 5], 'big') % 100000:05}" for i in range(0, 60, 5))


def compose(show):
    def bytes_from(start, count):
        return bytes((start + i) % 256 for i in range(count))

    def public(start):
        key = Ed25519PrivateKey.from_private_bytes(bytes_from(start, 32)).public_key()
        return key.public_bytes(Encoding.Raw, PublicFormat.Raw)

    contacts = [(public(0x33), "Bo", 1800000000, 1800086400, True), (public(0x55), "Zo\u00eb \U0001F98A", 1, 2**40, False)]
    file = identity_file(bytes_from(0x11, 32), "Al \U0001F3A7", contacts, "caf\u00e9 au lait", bytes_from(0xD0, 16), bytes_from(0xE0, 12))
    show("identity_file", file)
    show("session_number", session_number([public(0x11), public(0x33), public(0x55)]))
