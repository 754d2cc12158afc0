"""The part of the independent reading that is about people: who may come in, the sealed identity file, the session's safety number.

Argon2id and ChaCha20-Poly1305 come from the package `cryptography` (48 or newer).
"""

import hashlib
import struct

from basics import bytes_from, cbor, raw, sha256
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id


# Who may come in: SPEC.md §7

def state(locked, commitment, admitted, removed):
    lists = b"".join(bytes([len(keys)]) + b"".join(keys) for keys in (admitted, removed))
    return bytes([locked]) + commitment + lists


class Authority:
    """States one thing after the other; a successor's key takes over with the statement that names it."""

    def __init__(self, session, key):
        self.session, self.key, self.root = session, key, raw(key.public_key())
        self.sequence, self.handovers = 0, b""

    def states(self, what, successor=None):
        self.sequence += 1
        named = raw(successor.public_key()) if successor else bytes(32)
        mark = struct.pack(">Q", self.sequence) + named
        signature = self.key.sign(b"resonance/v1/authority" + self.session + mark + sha256(what))
        before = self.root + bytes([len(self.handovers) // 136]) + self.handovers
        if successor:
            self.handovers += mark + sha256(what) + signature
            self.key = successor
        return before + mark + signature + what


def statements(show, session, authority, public, successor):
    """Locked; one is removed and the session handed over; the successor unlocks."""
    commitment = sha256(b"resonance/v1/secret", session, bytes_from(0xB0, 16))
    host = Authority(session, authority)
    show("statement_1", host.states(state(1, bytes(32), [public(0x33), public(0x55)], [])))
    show("statement_2", host.states(state(1, commitment, [public(0x33)], [public(0x55)]), successor))
    show("statement_3", host.states(state(0, commitment, [], [public(0x55)])))


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


def compose(show, session, authority):
    def private(start):
        return Ed25519PrivateKey.from_private_bytes(bytes_from(start, 32))

    def public(start):
        return raw(private(start).public_key())

    statements(show, session, authority, public, private(0x33))
    contacts = [(public(0x33), "Bo", 1800000000, 1800086400, True), (public(0x55), "Zo\u00eb \U0001F98A", 1, 2**40, False)]
    file = identity_file(bytes_from(0x11, 32), "Al \U0001F3A7", contacts, "caf\u00e9 au lait", bytes_from(0xD0, 16), bytes_from(0xE0, 12))
    show("identity_file", file)
    show("session_number", session_number([public(0x11), public(0x33), public(0x55)]))
