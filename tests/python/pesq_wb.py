"""Prints PESQ-WB (ITU-T P.862.2) of two mono 48 kHz WAV files: pesq_wb.py REFERENCE DEGRADED.

Needs numpy and pesq (scripts/setup.sh makes an environment with both). The signals are brought to the 16 kHz that the
standard wants by a linear-phase low-pass filter (Kaiser window, 80 dB, 7.2 to 8 kHz) and taking every third sample.
"""

import sys
import wave

import numpy as np
from pesq import pesq


def read(path):
    """The samples of a 16-bit mono file, as floats in -1 to 1."""
    with wave.open(path, "rb") as file:
        if (file.getframerate(), file.getnchannels(), file.getsampwidth()) != (48000, 1, 2):
            sys.exit(f"{path}: expected 48 kHz, mono, 16 bits")
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float64) / 32768


def to_16_khz(samples):
    """One third of the rate, without aliasing."""
    half = 157
    n = np.arange(-half, half + 1)
    cutoff = 7600 / 48000
    taps = 2 * cutoff * np.sinc(2 * cutoff * n) * np.kaiser(2 * half + 1, 7.857)
    return np.convolve(samples, taps / taps.sum(), mode="same")[::3].astype(np.float32)


reference, degraded = (to_16_khz(read(path)) for path in sys.argv[1:3])
print(f"{pesq(16000, reference, degraded, 'wb'):.3f}")
