"""SPEC.md's section on media: SFrame (RFC 9605) with its ratchet in suite 0xF001, and the hop seal. Imported by reference.py."""

import struct

from basics import expand, extract
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305


def sframe_header(kid, ctr):
    def field(number):
        if number < 8:
            return number, b""
        data = number.to_bytes((number.bit_length() + 7) // 8, "big")
        return 8 | len(data) - 1, data
    (k, kid_bytes), (c, ctr_bytes) = field(kid), field(ctr)
    return bytes([k << 4 | c]) + kid_bytes + ctr_bytes


def media_packet(base_key, generation, step, session, fingerprint, ctr, plaintext):
    kid = generation << 4 | step
    secret, suffix = extract(b"", base_key), struct.pack(">QH", kid, 0xF001)
    key = expand(secret, b"SFrame 1.0 Secret key " + suffix, 32)
    salt = expand(secret, b"SFrame 1.0 Secret salt " + suffix, 12)
    nonce = bytes(a ^ b for a, b in zip(salt, ctr.to_bytes(12, "big")))
    header = sframe_header(kid, ctr)
    return header + ChaCha20Poly1305(key).encrypt(nonce, plaintext, header + session + fingerprint)


def ratchet(base_key):
    return expand(extract(b"", base_key), b"SFrame 1.0 Ratchet", 32)


def hop(key, source, destination, counter, packet):
    nonce = bytes(4) + struct.pack(">Q", counter)
    return nonce[4:] + ChaCha20Poly1305(key).encrypt(nonce, packet, b"resonance/v1/hop" + source + destination)


def trace(base_key, generation, session, fingerprint, frame, hop_key, source, destination):
    """Ten packets of step 0, one of each later step (the counter goes on), and the first two hop-sealed."""
    packets = [media_packet(base_key, generation, 0, session, fingerprint, ctr, frame) for ctr in range(10)]
    yield from ((f"packet_{ctr}", packet) for ctr, packet in enumerate(packets))
    for step in range(1, 16):
        base_key = ratchet(base_key)
        yield f"base_key_of_step_{step}", base_key
        yield f"packet_of_step_{step}", media_packet(base_key, generation, step, session, fingerprint, 9 + step, frame)
    for counter in range(2):
        yield f"hop_{counter}", hop(hop_key, source, destination, counter, packets[counter])
