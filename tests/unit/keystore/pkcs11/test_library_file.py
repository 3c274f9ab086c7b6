"""Libraries are judged before any of their code runs."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import TokenError
from mailfront.keystore.pkcs11.library_file import (
    architecture_of,
    check_library,
    describe,
    own_architecture,
)
from tests.support.softhsm import softhsm_library

X86_64, AARCH64 = 0x3E, 0xB7


def header(*, bits: int = 2, order: int = 1, kind: int = 3, machine: int = X86_64) -> bytes:
    numbers = struct.pack("<HH" if order == 1 else ">HH", kind, machine)
    return b"\x7fELF" + bytes([bits, order]) + bytes(10) + numbers


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A file that passes."""
    bits, machine = own_architecture()
    path = tmp_path / "module.so"
    path.write_bytes(header(bits={32: 1, 64: 2}[bits], machine=machine))
    path.chmod(0o644)
    return path


def test_a_library_of_this_architecture_passes(library: Path) -> None:
    check_library(library)
    check_library(softhsm_library())


def test_one_for_another_machine_is_refused_with_both_names(library: Path) -> None:
    _, machine = own_architecture()
    library.write_bytes(header(machine=AARCH64 if machine != AARCH64 else X86_64))
    with pytest.raises(TokenError, match=r"is a library for .*; this Python is for "):
        check_library(library)


@pytest.mark.parametrize(
    "content", [b"", b"#!/bin/sh\n", b"\x7fELF", header(kind=2), header(bits=9)]
)
def test_what_is_no_shared_library_is_refused(library: Path, content: bytes) -> None:
    library.write_bytes(content)
    with pytest.raises(TokenError, match="no shared library"):
        check_library(library)


def test_a_missing_file_and_a_directory_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TokenError, match="No such file"):
        check_library(tmp_path / "missing.so")
    with pytest.raises(TokenError, match="is a directory"):
        check_library(tmp_path)


def test_a_file_that_everybody_can_write_is_refused(library: Path) -> None:
    library.chmod(0o666)
    with pytest.raises(TokenError, match="can change it"):
        check_library(library)


def test_a_directory_in_which_everybody_can_replace_it_is_refused(library: Path) -> None:
    library.parent.chmod(0o777)
    with pytest.raises(TokenError, match="can replace it"):
        check_library(library)
    library.parent.chmod(0o1777)
    check_library(library)


def test_architectures_are_read_in_both_orders_and_named() -> None:
    assert architecture_of(header()) == (64, X86_64)
    assert architecture_of(header(order=2, bits=1, machine=0x14)) == (32, 0x14)
    assert describe((64, AARCH64)) == "AArch64"
    assert describe((64, X86_64)) == "x86-64"
    assert describe((32, 999)) == "machine 999 (32 bits)"


@given(st.binary(max_size=40))
def test_any_octets_are_judged(octets: bytes) -> None:
    architecture_of(octets)
