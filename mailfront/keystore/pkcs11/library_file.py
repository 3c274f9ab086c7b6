"""Is a file fit to be installed as a PKCS#11 module? Judged before any of its code runs.

Takes a path; raises `TokenError` with the reason: a file that is not there, no shared library, one
for another machine, or one that other users of this machine could replace. Of the file only the
ELF header is read (System V ABI, chapter 4).
"""

from __future__ import annotations

import os
import stat
import struct
import sys
from pathlib import Path

from mailfront.errors import TokenError

_MAGIC = b"\x7fELF"
_HEADER = 20
_SHARED_OBJECT = 3
_CLASSES = {1: 32, 2: 64}
_LITTLE_ENDIAN = 1
_MACHINES = {
    0x03: "x86",
    0x08: "MIPS",
    0x15: "PowerPC 64",
    0x16: "S/390",
    0x28: "ARM",
    0x2B: "SPARC V9",
    0x3E: "x86-64",
    0xB7: "AArch64",
    0xF3: "RISC-V",
    0x102: "LoongArch",
}

Architecture = tuple[int, int]
"""Bits of an address and the machine, as an ELF header names them."""


def check_library(path: Path) -> None:
    """Raise `TokenError` unless the file is a library of this architecture that only its owner,
    or root, can change."""
    try:
        with path.open("rb") as stream:
            header = stream.read(_HEADER)
            status = os.fstat(stream.fileno())
    except IsADirectoryError:
        raise TokenError("is a directory, not a library", file=path) from None
    except OSError as error:
        raise TokenError(f"cannot be read: {error.strerror}", file=path) from error
    if not stat.S_ISREG(status.st_mode):
        raise TokenError("is no regular file", file=path)
    architecture = architecture_of(header)
    if architecture is None:
        raise TokenError("is no shared library (ELF)", file=path)
    own = own_architecture()
    if architecture != own:
        raise TokenError(
            f"is a library for {describe(architecture)}; this Python is for {describe(own)}",
            remedy="install the vendor's library for this architecture",
            file=path,
        )
    _check_unchangeable(path.resolve(), status.st_mode)


def architecture_of(header: bytes) -> Architecture | None:
    """Return what an ELF header says a shared library is for; None if it is no such header."""
    if len(header) < _HEADER or not header.startswith(_MAGIC) or header[4] not in _CLASSES:
        return None
    order = "<" if header[5] == _LITTLE_ENDIAN else ">"
    kind, machine = struct.unpack_from(f"{order}HH", header, 16)
    return (_CLASSES[header[4]], machine) if kind == _SHARED_OBJECT else None


def own_architecture() -> Architecture:
    """Return what this Python itself is for."""
    with Path(sys.executable).open("rb") as stream:
        header = stream.read(_HEADER)
    order = "<" if header[5] == _LITTLE_ENDIAN else ">"
    (machine,) = struct.unpack_from(f"{order}H", header, 18)
    return _CLASSES[header[4]], machine


def describe(architecture: Architecture) -> str:
    """An architecture for people."""
    bits, machine = architecture
    name = _MACHINES.get(machine, f"machine {machine}")
    return name if str(bits) in name else f"{name} ({bits} bits)"


def _check_unchangeable(path: Path, mode: int) -> None:
    if mode & stat.S_IWOTH:
        raise TokenError(
            "every user of this machine can change it, and it would run with our keys",
            remedy=f"chmod o-w {path}",
            file=path,
        )
    for directory in path.parents:
        mode = directory.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise TokenError(
                f"every user of this machine can replace it: {directory} is writable for all",
                remedy=f"chmod o-w {directory}",
                file=path,
            )
