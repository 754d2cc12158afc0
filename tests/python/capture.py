"""Writes every Ethernet frame that this machine sends, receives or forwards to a file: capture.py FILE.

Each frame is preceded by its length (4 bytes, big-endian). Says "ready" when it listens and stops when its standard input ends.
Linux only (AF_PACKET), as root or in a network namespace of one's own; needs nothing but Python itself.
"""

import select
import socket
import struct
import sys

ETH_P_ALL = 3
SO_RCVBUFFORCE = 33

with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as wire, open(sys.argv[1], "wb") as file:
    try:
        wire.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 25)
    except PermissionError:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 25)
    print("ready", flush=True)
    while True:
        readable, _, _ = select.select([wire, sys.stdin], [], [])
        if wire in readable:
            frame = wire.recv(65536)
            file.write(struct.pack(">I", len(frame)) + frame)
        elif not sys.stdin.buffer.read1(4096):
            break
