"""ML-KEM-768 encapsulation (FIPS 203) with its randomness handed in: the package `cryptography` draws its own.

Keys and decapsulation come from the package, so that each encapsulation here is checked by code that is not ours.
"""

import hashlib

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey

Q, N, K, ETA, DU, DV = 3329, 256, 3, 2, 10, 4


def bit_reversed(number):
    return int(f"{number:07b}"[::-1], 2)


ZETAS = [pow(17, bit_reversed(i), Q) for i in range(128)]
GAMMAS = [pow(17, 2 * bit_reversed(i) + 1, Q) for i in range(128)]


def bits(data):
    return [byte >> i & 1 for byte in data for i in range(8)]


def byte_decode(data, d):  # algorithm 6
    stream = bits(data)
    return [sum(stream[i * d + j] << j for j in range(d)) for i in range(N)]


def byte_encode(values, d):  # algorithm 5
    stream = [value >> j & 1 for value in values for j in range(d)]
    return bytes(sum(stream[i + j] << j for j in range(8)) for i in range(0, len(stream), 8))


def compress(values, d):  # §4.2.1, rounding halves up
    return [((value << d + 1) + Q) // (2 * Q) % (1 << d) for value in values]


def decompress(values, d):
    return [(value * Q + (1 << d - 1)) >> d for value in values]


def sample_ntt(seed):  # algorithm 7
    stream, values, at = hashlib.shake_128(seed).digest(168 * 20), [], 0
    while len(values) < N:
        a, b, c = stream[at:at + 3]
        at += 3
        values += [value for value in (a + 256 * (b % 16), b // 16 + 16 * c) if value < Q]
    return values[:N]


def sample_cbd(seed, nonce):  # algorithm 8
    stream = bits(hashlib.shake_256(seed + bytes([nonce])).digest(64 * ETA))
    return [(sum(stream[2 * i * ETA:][:ETA]) - sum(stream[(2 * i + 1) * ETA:][:ETA])) % Q for i in range(N)]


def ntt(values):  # algorithm 9
    values, index, length = list(values), 1, 128
    while length >= 2:
        for start in range(0, N, 2 * length):
            for j in range(start, start + length):
                t = ZETAS[index] * values[j + length]
                values[j], values[j + length] = (values[j] + t) % Q, (values[j] - t) % Q
            index += 1
        length //= 2
    return values


def inverse_ntt(values):  # algorithm 10
    values, index, length = list(values), 127, 2
    while length <= 128:
        for start in range(0, N, 2 * length):
            for j in range(start, start + length):
                low, high = values[j], values[j + length]
                values[j], values[j + length] = (low + high) % Q, ZETAS[index] * (high - low) % Q
            index -= 1
        length *= 2
    return [value * 3303 % Q for value in values]


def multiply(a, b):  # algorithms 11 and 12
    product = []
    for i, gamma in enumerate(GAMMAS):
        (a0, a1), (b0, b1) = a[2 * i:2 * i + 2], b[2 * i:2 * i + 2]
        product += [(a0 * b0 + a1 * b1 * gamma) % Q, (a0 * b1 + a1 * b0) % Q]
    return product


def add(*polynomials):
    return [sum(values) % Q for values in zip(*polynomials)]


def encrypt(key, message, seed):  # algorithm 14
    t = [byte_decode(key[384 * i:384 * i + 384], 12) for i in range(K)]
    rho = key[384 * K:]
    y = [ntt(sample_cbd(seed, i)) for i in range(K)]
    e1, e2 = [sample_cbd(seed, K + i) for i in range(K)], sample_cbd(seed, 2 * K)
    # Row i of the transposed matrix.
    matrix = [[sample_ntt(rho + bytes([i, j])) for j in range(K)] for i in range(K)]
    u = [add(inverse_ntt(add(*(multiply(matrix[i][j], y[j]) for j in range(K)))), e1[i]) for i in range(K)]
    v = add(inverse_ntt(add(*(multiply(t[i], y[i]) for i in range(K)))), e2, decompress(byte_decode(message, 1), 1))
    return b"".join(byte_encode(compress(part, DU), DU) for part in u) + byte_encode(compress(v, DV), DV)


def public(seed):
    return MLKEM768PrivateKey.from_seed_bytes(seed).public_key().public_bytes_raw()


def decapsulate(seed, ciphertext):
    return MLKEM768PrivateKey.from_seed_bytes(seed).decapsulate(ciphertext)


def encapsulate(key, message):  # algorithm 17: ciphertext and shared secret
    derived = hashlib.sha3_512(message + hashlib.sha3_256(key).digest()).digest()
    return encrypt(key, message, derived[32:]), derived[:32]
