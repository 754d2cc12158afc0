"""SHA-2, HKDF and CBOR, as far as they are needed."""

import hashlib
import hmac
import struct

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def extract(salt, ikm):
    return hmac.new(salt or bytes(32), ikm, hashlib.sha256).digest()


def expand(prk, info, length):
    out, block, count = b"", b"", 1
    while len(out) < length:
        block = hmac.new(prk, block + info + bytes([count]), hashlib.sha256).digest()
        out, count = out + block, count + 1
    return out[:length]


def raw(public_key):
    return public_key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def bytes_from(start, count):
    return bytes((start + i) % 256 for i in range(count))


# CBOR, as far as it is needed

def head(major, number):
    if number < 24:
        return bytes([major << 5 | number])
    for code, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
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
    if isinstance(value, dict):
        return head(5, len(value)) + b"".join(cbor(key) + cbor(item) for key, item in value.items())
    raise TypeError(value)


def padded(data, *classes):
    data = struct.pack(">H", len(data)) + data
    return data.ljust(next(size for size in classes if len(data) <= size), b"\0")
