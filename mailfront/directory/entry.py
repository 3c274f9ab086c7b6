"""A user as the directory knows them: the attributes that login and delivery touch.

Takes a record (of a file or a server's answer) with the attributes of the Communications Suite
schema (`uid`, `mail`, `mailAlternateAddress`, `mailEquivalentAddress`, `userPassword`,
`inetUserStatus`, `mailUserStatus`, `mailHost`, `mailAllowedServiceAccess`, `cn`,
`userCertificate;binary`) and mailfront's own `mailFrontDelayUntil`, and returns an `Entry`, or
`DirectoryError` with the line at fault.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from functools import lru_cache
from pathlib import Path

from mailfront.errors import AddressError, DirectoryError
from mailfront.protocol.generalized_time import parse_time
from mailfront.protocol.ldif import Attribute, Record
from mailfront.protocol.mail_address import (
    canonical_address,
    canonical_local_part,
    unicode_address,
)

MAXIMUM_PASSWORD_VALUES = 4
"""Each value may cost a verification at every login."""

DELAY_ATTRIBUTE = "mailFrontDelayUntil"
"""Until when logins of the user are to wait."""

_USER_CLASSES = {b"inetuser", b"inetmailuser", b"inetlocalmailrecipient"}
MAXIMUM_CERTIFICATES = 16
"""Each value may be compared at every login by certificate."""

_SIMPLE_UID = 32
_CERTIFICATE_NAMES = ("usercertificate;binary", "usercertificate")
_OTHER_ADDRESSES = ("mailalternateaddress", "mailequivalentaddress")
# What fields of an entry hold, or what is nobody's to search for.
_HELD = frozenset(
    (
        "objectclass", "mail", *_OTHER_ADDRESSES, "uid", "userpassword", "mailhost", "entrycsn",
        "modifytimestamp", *_CERTIFICATE_NAMES,
    )
)  # fmt: skip


class AccountStatus(Enum):
    """What `inetUserStatus` and `mailUserStatus` together say of an account."""

    ACTIVE = "active"
    OVER_QUOTA = "overquota"
    HOLD = "hold"
    INACTIVE = "inactive"
    DELETED = "deleted"


_STATUS_WORDS = {
    "active": AccountStatus.ACTIVE,
    "overquota": AccountStatus.OVER_QUOTA,
    "hold": AccountStatus.HOLD,
    "deleted": AccountStatus.DELETED,
    "removed": AccountStatus.DELETED,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One user.

    `user` is the canonical form of `mail` and the key of the mailbox; `addresses` are all their
    addresses in canonical form. `line` and `end` are the lines of the record in its file, 0 for
    one that comes from a server. `dn` is the distinguished name (RFC 4514) as the directory writes
    it, `certificates` the DER of each `userCertificate`. `revision` differs after any change to
    the entry, where the directory tells that; `other` are further attributes, packed. Until
    `held_until` logins are to wait (`authentication.hold`).
    """

    user: str
    uid: str
    addresses: frozenset[str]
    password_values: tuple[str, ...]
    status: AccountStatus
    name: str
    mail_host: str
    service_access: tuple[str, ...]
    line: int
    end: int
    dn: str = ""
    certificates: tuple[bytes, ...] = ()
    revision: str = ""
    object_classes: tuple[bytes, ...] = ()
    other: bytes = b""
    held_until: datetime | None = None

    @property
    def domain(self) -> str:
        """The domain in which the `uid` is unique."""
        return self.user.rpartition("@")[2]

    @property
    def login_names(self) -> frozenset[str]:
        """What the user may log in as: `mail`, and `uid` with the domain of `mail`."""
        return frozenset((self.user, f"{self.uid}@{self.domain}"))

    def attributes(self) -> dict[str, list[bytes]]:
        """Return all attributes that can be searched, their names in lower case.

        Addresses are in canonical form and with their domains' U-labels.
        """
        spellings = self.addresses | {unicode_address(address) for address in self.addresses}
        others = [spelling.encode() for spelling in spellings]
        own = {self.user, unicode_address(self.user)}
        found = {
            "objectclass": list(self.object_classes),
            "uid": [self.uid.encode()],
            "mail": [spelling.encode() for spelling in own],
            **dict.fromkeys(_OTHER_ADDRESSES, others),
            "mailhost": [self.mail_host.encode()] if self.mail_host else [],
            "usercertificate": list(self.certificates),
            "usercertificate;binary": list(self.certificates),
        }
        for name, value in _unpacked(self.other):
            found.setdefault(name, []).append(value)
        return found


def account_status(inet_user_status: str, mail_user_status: str) -> AccountStatus:
    """Return the status of an account; an empty value means that the attribute is missing.

    `inetUserStatus` is judged first and knows three values; anything unknown is inactive.
    """
    general = inet_user_status.strip().lower() or "active"
    if general in ("deleted", "removed"):
        return AccountStatus.DELETED
    if general != "active":
        return AccountStatus.INACTIVE
    mail = mail_user_status.strip().lower() or "active"
    return _STATUS_WORDS.get(mail, AccountStatus.INACTIVE)


def entry_from_record(record: Record, file: Path | None = None) -> Entry | None:
    """Return the user of `record`, or None for a record of something else (an organisation).

    Raises `DirectoryError`.
    """
    found: dict[str, list[Attribute]] = {}
    for attribute in record.attributes:
        found.setdefault(attribute.name, []).append(attribute)
    if "mail" not in found:
        classes = {attribute.value.lower() for attribute in found.get("objectclass", ())}
        if "userpassword" in found or classes & _USER_CLASSES:
            raise DirectoryError(
                "a user without an address", remedy="add mail: user@domain", file=file,
                line=record.line,
            )  # fmt: skip
        return None
    mail = _only(found, "mail", file)
    assert mail is not None
    user = _address(mail, file)
    if "/" in user:
        raise _fault(mail, "a / in the address of a mailbox", "choose another address", file)
    uid = _only(found, "uid", file)
    passwords = found.get("userpassword", [])
    if len(passwords) > MAXIMUM_PASSWORD_VALUES:
        raise _fault(passwords[-1], "too many passwords", f"keep {MAXIMUM_PASSWORD_VALUES}", file)
    others = [attribute for name in _OTHER_ADDRESSES for attribute in found.get(name, ())]
    return Entry(
        user=user,
        uid=user.rpartition("@")[0] if uid is None else _uid(uid, file),
        addresses=frozenset([user, *(_address(attribute, file) for attribute in others)]),
        password_values=tuple(_text(attribute, file) for attribute in passwords),
        status=account_status(
            _only_text(found, "inetuserstatus", file), _only_text(found, "mailuserstatus", file)
        ),
        name=_text(found["cn"][0], file) if "cn" in found else "",
        mail_host=_only_text(found, "mailhost", file),
        service_access=tuple(
            _text(attribute, file) for attribute in found.get("mailallowedserviceaccess", ())
        ),
        line=record.line,
        end=record.end,
        dn=record.name,
        certificates=_certificates(found, file),
        revision=_only_text(found, "entrycsn", file) or _only_text(found, "modifytimestamp", file),
        object_classes=_shared(tuple([each.value for each in found.get("objectclass", ())])),
        other=_packed(record),
        held_until=_held_until(found, file),
    )


@lru_cache(maxsize=256)
def _shared(values: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Return the one tuple for equal ones: most users have the same object classes."""
    return values


def _packed(record: Record) -> bytes:
    """Return the attributes that no field of an entry holds, in one object for memory's sake."""
    return b"".join(
        [
            b"%b\0%d\0%b" % (name.encode("ascii"), len(value), value)
            for name, value, _, _ in record.attributes
            if name not in _HELD
        ]
    )


def _unpacked(packed: bytes) -> Iterator[tuple[str, bytes]]:
    while packed:
        name, length, rest = packed.split(b"\0", 2)
        yield name.decode("ascii"), rest[: int(length)]
        packed = rest[int(length) :]


def _held_until(found: dict[str, list[Attribute]], file: Path | None) -> datetime | None:
    attribute = _only(found, DELAY_ATTRIBUTE.lower(), file)
    if attribute is None:
        return None
    try:
        return parse_time(_text(attribute, file).strip())
    except ValueError as error:
        remedy = "mailfront user hold ADDRESS --until TIME writes it"
        raise _fault(attribute, f"{DELAY_ATTRIBUTE}: {error}", remedy, file) from None


def _certificates(found: dict[str, list[Attribute]], file: Path | None) -> tuple[bytes, ...]:
    attributes = [attribute for name in _CERTIFICATE_NAMES for attribute in found.get(name, ())]
    if len(attributes) > MAXIMUM_CERTIFICATES:
        raise _fault(attributes[-1], "too many certificates", f"keep {MAXIMUM_CERTIFICATES}", file)
    return tuple(attribute.value for attribute in attributes)


def _fault(attribute: Attribute, what: str, remedy: str, file: Path | None) -> DirectoryError:
    return DirectoryError(what, remedy=remedy, file=file, line=attribute.line)


def _only(found: dict[str, list[Attribute]], name: str, file: Path | None) -> Attribute | None:
    attributes = found.get(name)
    if attributes is None:
        return None
    if len(attributes) > 1:
        raise _fault(attributes[1], f"a second {name}", "keep one of them", file)
    return attributes[0]


def _only_text(found: dict[str, list[Attribute]], name: str, file: Path | None) -> str:
    attribute = _only(found, name, file)
    return "" if attribute is None else _text(attribute, file)


def _text(attribute: Attribute, file: Path | None) -> str:
    try:
        return attribute.value.decode("utf-8")
    except UnicodeDecodeError:
        raise _fault(attribute, f"{attribute.name} is not UTF-8", "", file) from None


def _address(attribute: Attribute, file: Path | None) -> str:
    try:
        return canonical_address(_text(attribute, file).strip())
    except AddressError as error:
        raise _fault(attribute, f"{attribute.name}: {error}", "write user@domain", file) from None


def _uid(attribute: Attribute, file: Path | None) -> str:
    text = _text(attribute, file).strip()
    if len(text) <= _SIMPLE_UID and text.isascii() and text.isalnum() and text.islower():
        # As nearly all are, and a million of them may have to be read.
        return text
    try:
        return canonical_local_part(text)
    except AddressError as error:
        raise _fault(attribute, f"uid: {error}", "write a name", file) from None
