"""The channel of SPEC.md §5: one side of a Double Ratchet with ML-KEM, as literal as can be; nothing is ever forgotten here."""

import struct

import mlkem
from basics import cbor, expand, extract, padded, raw
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

PLAIN, KEY, CIPHERTEXT = 0, 1, 2
HEADER = 45
PART_LENGTHS = {PLAIN: 0, KEY: 1184, CIPHERTEXT: 1088}


def kdf_rk(rk, dh, ss=b""):
    okm = expand(extract(rk, dh + ss), b"resonance/v1/ratchet/root", 64)
    return okm[:32], okm[32:]


def kdf_ck(ck):
    return expand(ck, b"resonance/v1/ratchet/chain", 32), expand(ck, b"resonance/v1/ratchet/message", 32)


def kdf_second(key):
    return expand(key, b"resonance/v1/ratchet/second", 32)


def encrypt_key(second_key, key):
    return expand(extract(second_key, key), b"resonance/v1/ratchet/seal", 32)


def dh(private, public):
    return private.exchange(X25519PublicKey.from_public_bytes(public))


class Side:
    def __init__(self, context, root, private):
        self.context, self.rk, self.dhs, self.dhr = context, root, private, None
        self.cks = self.ckr = None
        self.ns = self.nr = self.pn = 0
        self.skipped = {}
        self.seconds = [kdf_second(root)]
        self.part = bytes([PLAIN]), b""
        self.seed = self.asked = None

    @classmethod
    def initiator(cls, context, root, private, public):
        side = cls(context, root, private)
        side.rk, side.cks = kdf_rk(root, dh(private, public))
        return side

    @classmethod
    def responder(cls, context, root, private, public):
        side = cls(context, root, private)
        side.dhr = public
        side.rk, side.ckr = kdf_rk(root, dh(private, public))
        return side

    def begins(self, private, kem_seed=None, kem_message=None):
        """The sending half of a step. An initiator may offer a new ML-KEM key; a responder must answer one."""
        ss, self.part = b"", (bytes([PLAIN]), b"")
        if kem_seed:
            self.seed, self.part = kem_seed, (bytes([KEY]), mlkem.public(kem_seed))
        if self.asked:
            ciphertext, ss = mlkem.encapsulate(self.asked, kem_message)
            self.asked, self.part = None, (bytes([CIPHERTEXT]), ciphertext)
        self.pn, self.ns, self.dhs = self.ns, 0, private
        self.rk, self.cks = kdf_rk(self.rk, dh(private, self.dhr), ss)

    def second_key(self, second):
        while len(self.seconds) <= second:
            self.seconds.append(kdf_second(self.seconds[-1]))
        return self.seconds[second]

    def seal(self, second, signal):
        kind, part = self.part
        header = kind + raw(self.dhs.public_key()) + struct.pack(">III", self.pn, self.ns, second) + part
        self.cks, key = kdf_ck(self.cks)
        self.ns += 1
        text = padded(cbor(signal), 256, 1024, 4096, 16384)
        key = encrypt_key(self.second_key(second), key)
        return b"\4" + header + ChaCha20Poly1305(key).encrypt(bytes(12), text, self.context + header)

    def skip_to(self, number):
        while self.nr < number:
            self.ckr, self.skipped[self.dhr, self.nr] = kdf_ck(self.ckr)
            self.nr += 1

    def open(self, message):
        length = HEADER + PART_LENGTHS[message[1]]
        header, sealed = message[1:1 + length], message[1 + length:]
        kind, public, part = header[0], header[1:33], header[HEADER:]
        pn, number, second = struct.unpack(">III", header[33:HEADER])
        if (public, number) not in self.skipped:
            if public != self.dhr:
                if self.dhr:
                    self.skip_to(pn)
                ss = mlkem.decapsulate(self.seed, part) if kind == CIPHERTEXT else b""
                self.asked = part if kind == KEY else None
                self.rk, self.ckr = kdf_rk(self.rk, dh(self.dhs, public), ss)
                self.dhr, self.nr = public, 0
            self.skip_to(number + 1)
        key = encrypt_key(self.second_key(second), self.skipped.pop((public, number)))
        return ChaCha20Poly1305(key).decrypt(bytes(12), sealed, self.context + header)
