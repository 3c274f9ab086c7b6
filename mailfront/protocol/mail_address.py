"""One spelling for every mail address, so that addresses can be compared as text.

Takes an address as people or SMTP write it (RFC 5321 section 4.1.2, RFC 6531) and returns it
with the domain in lower-case A-labels (UTS 46, IDNA 2008) and the local part in NFC and lower
case. RFC 5321 section 2.4 leaves the case of local parts to the host that owns the mailbox; here
it never matters. Address literals (`user@[192.0.2.1]`) are not understood.
"""

from __future__ import annotations

import re
import unicodedata

import idna

from mailfront.errors import AddressError

MAXIMUM_LOCAL_PART_OCTETS = 64
MAXIMUM_ADDRESS_OCTETS = 254

_MAXIMUM_TEXT = 1024
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
# What an atom cannot hold: naming what it can, up to U+10FFFF, takes ten times as long to compile.
_ATOM = re.compile(r'[^\x00- "(),.:;<>@\[\\\]\x7f]+')
# What nearly every address looks like; it is its own canonical spelling.
_CANONICAL = re.compile(
    r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*"
)
_MAXIMUM_SIMPLE = 64
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)


def canonical_address(text: str) -> str:
    """Return the one spelling of the address `text`. Raises `AddressError`."""
    if len(text) <= _MAXIMUM_SIMPLE and _CANONICAL.fullmatch(text) and "xn--" not in text:
        return text
    if len(text) > _MAXIMUM_TEXT:
        raise AddressError("an address is too long")
    local, at, domain = text.rpartition("@")
    if not at or not local:
        raise AddressError("an address has a name, @ and a domain")
    address = f"{canonical_local_part(local)}@{canonical_domain(domain)}"
    if len(address.encode()) > MAXIMUM_ADDRESS_OCTETS:
        raise AddressError(f"an address has at most {MAXIMUM_ADDRESS_OCTETS} octets")
    return address


def canonical_local_part(local: str) -> str:
    """Return what stands before the `@`, unquoted, in NFC and lower case. Raises `AddressError`."""
    if len(local) > 1 and local[0] == local[-1] == '"':
        local = _QUOTED_PAIR.sub(r"\1", local[1:-1])
    normal = _lower(local)
    if not all(_ATOM.fullmatch(atom) for atom in normal.split(".")):
        raise AddressError("the name before @ has a character or a dot where none may be")
    if not normal.isprintable():
        raise AddressError("the name before @ has an invisible character")
    if len(normal.encode()) > MAXIMUM_LOCAL_PART_OCTETS:
        raise AddressError(f"the name before @ has at most {MAXIMUM_LOCAL_PART_OCTETS} octets")
    return normal


def canonical_domain(domain: str) -> str:
    """Return a host or domain name in lower-case A-labels. Raises `AddressError`."""
    if len(domain) > MAXIMUM_ADDRESS_OCTETS:
        raise AddressError("a domain name is too long")
    name = domain.lower()
    if not name.isascii() or "xn--" in name:
        try:
            name = idna.encode(name, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            raise AddressError("not an internationalised domain name (RFC 5890)") from None
    if not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise AddressError("not a domain name: letters, digits and hyphens between dots")
    return name


def unicode_address(address: str) -> str:
    """Return a canonical address with the domain's U-labels, as people read it."""
    local, _, domain = address.rpartition("@")
    if "xn--" not in domain:
        return address
    return f"{local}@{idna.decode(domain)}"


def _lower(text: str) -> str:
    # Lower case of a composed letter may be a decomposed one.
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower())
