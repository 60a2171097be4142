"""Stretching: the costly step of a credential, alone, so that a process of its own can do it.

Run as a program it stretches what comes on its standard input until that ends: so many hashes at a time as
:func:`write_task` packs into one task, answered by their keys. It imports nothing else of pwsync, to be there quickly.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Sequence
from typing import IO

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

NT_HASH_SIZE = 16
SALT_SIZE = 10
KEY_SIZE = 32

_SHA256 = SHA256()
_HEAD = struct.Struct(">II")
_PAIR = struct.Struct(f"{NT_HASH_SIZE}s{SALT_SIZE}s")


def key(nt: bytes, salt: bytes, iterations: int) -> bytes:
    """The key (32 bytes) for an NT hash (16 bytes) and a salt (10 bytes): PBKDF2-HMAC-SHA256 of the upper-case hex."""
    secret = nt.hex().upper().encode("utf-16-le")
    return PBKDF2HMAC(_SHA256, KEY_SIZE, salt, iterations).derive(secret)


def keys(pairs: Sequence[tuple[bytes, bytes]], iterations: int) -> list[bytes]:
    """The keys for (NT hash, salt) pairs, in their order."""
    return [key(nt, salt, iterations) for nt, salt in pairs]


def write_task(stream: IO[bytes], pairs: Sequence[tuple[bytes, bytes]], iterations: int) -> None:
    """Two 32-bit numbers, how many pairs and how many iterations, then the pairs of 26 bytes."""
    stream.write(_HEAD.pack(len(pairs), iterations) + b"".join(_PAIR.pack(*pair) for pair in pairs))
    stream.flush()


def read_keys(stream: IO[bytes], count: int) -> list[bytes]:
    """The answer to a task of ``count`` pairs. Raises EOFError if it ends too early."""
    octets = _read(stream, count * KEY_SIZE)
    return [octets[start : start + KEY_SIZE] for start in range(0, len(octets), KEY_SIZE)]


def serve(tasks: IO[bytes], answers: IO[bytes]) -> None:
    """Answer one task after the other until there is no other, or only half of one."""
    try:
        while True:
            count, iterations = _HEAD.unpack(_read(tasks, _HEAD.size))
            answers.write(b"".join(keys(list(_PAIR.iter_unpack(_read(tasks, count * _PAIR.size))), iterations)))
            answers.flush()
    except EOFError:
        return


def _read(stream: IO[bytes], size: int) -> bytes:
    octets = stream.read(size)
    if len(octets) < size:
        raise EOFError
    return octets


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
