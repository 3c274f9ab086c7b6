"""What a PKCS#11 library is: its own words, its slots, and what the tokens in them can do.

`inspect_library` takes the path of a library and returns a `LibraryDescription`; the library is
loaded by a process of its own (this module as a program), for it may be anything. Nobody logs in.
Raises `TokenError` if it does not load, or is no PKCS#11 module.
"""

from __future__ import annotations

import contextlib
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

import pkcs11

from mailfront.errors import TokenError
from mailfront.keystore.pkcs11.child import answer, ask, take_stdout
from mailfront.keystore.pkcs11.library_file import check_library
from mailfront.keystore.pkcs11.modules import Module
from mailfront.keystore.pkcs11.sessions import load, token_error


@dataclass(frozen=True, slots=True)
class SlotDescription:
    """A slot; `token` is the label of the token in it, empty if there is none."""

    number: int
    description: str
    manufacturer: str
    token: str
    mechanisms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LibraryDescription:
    """A library, as it describes itself."""

    description: str
    manufacturer: str
    version: str
    pkcs11_version: str
    slots: tuple[SlotDescription, ...]


def inspect_library(library: Path) -> LibraryDescription:
    """Load the library elsewhere and return what it says."""
    check_library(library)
    try:
        found = json.loads(ask(__name__, str(library)))
    except TokenError as failure:
        raise TokenError(
            f"it does not work as a PKCS#11 module: {failure.what}", file=library
        ) from failure
    except ValueError as error:
        raise TokenError("it spoilt the answer about itself", file=library) from error
    if "fault" in found:
        raise TokenError(str(found["fault"]), file=library)
    slots = (SlotDescription(**{**slot, "mechanisms": tuple(slot["mechanisms"])})
             for slot in found.pop("slots"))  # fmt: skip
    return LibraryDescription(**found, slots=tuple(slots))


def describe_library(library: Path) -> LibraryDescription:
    """Load the library into this process and return what it says."""
    loaded = load(Module(library.name, library))
    try:
        slots = tuple(map(_describe_slot, loaded.get_slots()))
    except pkcs11.PKCS11Error as error:
        raise token_error(error, "it does not tell its slots") from error
    return LibraryDescription(
        description=loaded.library_description,
        manufacturer=loaded.manufacturer_id,
        version=_version(loaded.library_version),
        pkcs11_version=_version(loaded.cryptoki_version),
        slots=slots,
    )


def _describe_slot(slot: pkcs11.Slot) -> SlotDescription:
    label = ""
    mechanisms: tuple[str, ...] = ()
    # There may be no token in it, or none that answers.
    with contextlib.suppress(pkcs11.PKCS11Error):
        label = slot.get_token().label
        mechanisms = tuple(sorted(map(_mechanism_name, slot.get_mechanisms())))
    return SlotDescription(
        slot.slot_id, slot.slot_description, slot.manufacturer_id, label, mechanisms
    )


def _mechanism_name(mechanism: pkcs11.Mechanism | int) -> str:
    if isinstance(mechanism, pkcs11.Mechanism):
        return mechanism.name
    return f"0x{int(mechanism):08x}"


def _version(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))


def main() -> NoReturn:
    """Write the description of the library in the first argument, or its fault."""
    stdout = take_stdout()
    try:
        content = json.dumps(asdict(describe_library(Path(sys.argv[1]))))
    except TokenError as failure:
        content = json.dumps({"fault": failure.what})
    answer(stdout, content.encode())


if __name__ == "__main__":
    main()
