"""Prints PESQ-WB (ITU-T P.862.2) and STOI (Taal et al., 2011) of each mono 48 kHz WAV file after the first, which is the reference.

judge.py REFERENCE DEGRADED...   prints a line for each: PESQ, STOI

Needs numpy, pesq and pystoi (scripts/setup.sh makes an environment with them). The signals are brought to 16 kHz by a linear-phase
low-pass filter (Kaiser window, 80 dB, 7.2 to 8 kHz) and taking every third sample.
"""

import sys
import wave

import numpy as np
from pesq import pesq
from pystoi import stoi

HALF = 157
CUTOFF = 7600 / 48000
OFFSETS = np.arange(-HALF, HALF + 1)
TAPS = np.sinc(2 * CUTOFF * OFFSETS) * np.kaiser(2 * HALF + 1, 7.857)
TAPS /= TAPS.sum()


def read(path):
    """The samples at 16 kHz, as floats in -1 to 1."""
    with wave.open(path, "rb") as file:
        if (file.getframerate(), file.getnchannels(), file.getsampwidth()) != (48000, 1, 2):
            sys.exit(f"{path}: expected 48 kHz, mono, 16 bits")
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float64) / 32768
    return np.convolve(samples, TAPS, mode="same")[::3].astype(np.float32)


def aligned(reference, degraded):
    """STOI compares moment by moment: moves what was heard to where it fits best, up to a second, as a whole."""
    size = 1 << (len(reference) + len(degraded)).bit_length()
    likeness = np.fft.irfft(np.fft.rfft(degraded, size) * np.conj(np.fft.rfft(reference, size)), size)
    lag = int(np.argmax(likeness[:16000]))
    length = min(len(reference), len(degraded) - lag)
    return reference[:length], degraded[lag : lag + length]


reference = read(sys.argv[1])
for path in sys.argv[2:]:
    here, there = aligned(reference, read(path))
    print(f"{pesq(16000, here, there, 'wb'):.3f} {stoi(here, there, 16000):.4f}")
