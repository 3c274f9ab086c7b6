"""Signatures over a message: the fields that go before it (RFC 6376 section 5).

Takes a message that can be read, gives its `DKIM-Signature` fields, one for each key of the domain
in its From field, if that is the sender's own. Both canonical forms are relaxed. Fields that a
stranger might add to a signed message count as signed though absent (section 8.15). RSA signs with
SHA-256 alone (RFC 8301).
"""

from __future__ import annotations

import base64
import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from mailfront.errors import AddressError
from mailfront.interfaces.message_sink import Message
from mailfront.outgoing.dkim.canonical import BodyHash, relaxed_field
from mailfront.outgoing.dkim.keys import DomainKey, SigningKey
from mailfront.protocol.mail_address import canonical_domain
from mailfront.protocol.mime.address import mailboxes, parse_addresses
from mailfront.protocol.mime.header import HeaderField, header_fields

_log = logging.getLogger("mailfront.dkim")

# A header beyond this is not signed.
LARGEST_HEADER = 1024 * 1024
# Signed as often as they are there, and once more (RFC 6376 section 5.4.2).
_SEALED = (
    b"From", b"Reply-To", b"Subject", b"Date", b"Message-ID", b"To", b"Cc", b"MIME-Version",
    b"Content-Type", b"Content-Transfer-Encoding",
)  # fmt: skip
# Signed as often as they are there: others may add more of them on the way.
_SIGNED = (
    b"Sender", b"In-Reply-To", b"References", b"List-Id", b"List-Help", b"List-Unsubscribe",
    b"List-Unsubscribe-Post", b"List-Subscribe", b"List-Post", b"List-Owner", b"List-Archive",
    b"Resent-Date", b"Resent-From", b"Resent-Sender", b"Resent-To", b"Resent-Cc",
    b"Resent-Message-ID", b"TLS-Required", b"TLS-Report-Domain", b"TLS-Report-Submitter",
)  # fmt: skip
_WIDTH = 76
_LINE = 72
_MOST_TOLD = 1000
_END_OF_HEADER = b"\r\n\r\n"


class MessageSigner:
    """Signs with the keys that it is given at the moment; `clock` gives seconds since 1970."""

    def __init__(
        self, keys: Sequence[DomainKey] = (), *, clock: Callable[[], float] = time.time
    ) -> None:
        self._clock = clock
        self._told: set[tuple[str, str]] = set()
        self._keys: dict[str, tuple[DomainKey, ...]] = {}
        self.use(keys)

    def use(self, keys: Sequence[DomainKey]) -> None:
        """Sign with these keys from now on; may be called in any thread."""
        by_domain: dict[str, tuple[DomainKey, ...]] = {}
        for key in keys:
            by_domain[key.domain] = (*by_domain.get(key.domain, ()), key)
        self._keys = by_domain

    @property
    def has_keys(self) -> bool:
        """Whether anything can be signed."""
        return bool(self._keys)

    def sign(self, message: Message, sender: str) -> bytes:
        """Return the fields to be put before the message, each with its line end; nothing if no
        key is for the domain of its one From field, or if that is neither the domain of `sender`
        (the envelope's, which submission has found to be the user's own) nor below it.

        Reads the whole message: to be called in a thread.
        """
        chunks = message.chunks()
        header, body_start = _header(chunks)
        fields = header_fields(header, limit=len(header))
        keys = self._keys_for(fields, sender)
        if not keys:
            return b""
        body = BodyHash()
        body.update(body_start)
        for chunk in chunks:
            body.update(chunk)
        digest = body.digest()
        signed = _signed_fields(fields)
        return b"".join(self._signature(key, signed, digest) for key in keys)

    def _keys_for(self, fields: Sequence[HeaderField], sender: str) -> tuple[DomainKey, ...]:
        """The keys of the author's domain, else of the nearest domain above it."""
        values = [field.value for field in fields if field.name.lower() == b"from"]
        authors = mailboxes(parse_addresses(values[0])) if len(values) == 1 else []
        domains = {_canonical(author.domain) for author in authors}
        if len(domains) != 1:
            return ()
        author = name = domains.pop()
        keys = self._keys
        while name and name not in keys:
            name = name.partition(".")[2]
        if not name:
            return ()
        own = _canonical(sender.rpartition("@")[2].encode("utf-8", "replace"))
        if not own or not f".{author}".endswith(f".{own}"):
            self._tell(own, name)
            return ()
        return keys[name]

    def _tell(self, own: str, domain: str) -> None:
        if (own, domain) not in self._told and len(self._told) < _MOST_TOLD:
            self._told.add((own, domain))
            _log.warning(
                "mail of a sender in %r with a From in %s, which is not theirs, is not signed;"
                " this is told once", own, domain,
            )  # fmt: skip

    def _signature(
        self, key: DomainKey, signed: Sequence[tuple[bytes, bytes | None]], digest: bytes
    ) -> bytes:
        tags = [
            "v=1",
            f"a={_algorithm(key.key)}",
            "c=relaxed/relaxed",
            f"d={key.domain}",
            f"s={key.selector}",
            f"t={int(self._clock())}",
            "h=" + ":".join(name.decode() for name, _ in signed),
            f"bh={base64.b64encode(digest).decode()}",
            "b=",
        ]
        value = _folded(tags)
        data = b"".join(field + b"\r\n" for _, field in signed if field is not None)
        data += relaxed_field(b"DKIM-Signature", value)
        signature = base64.b64encode(_raw_signature(key.key, data))
        folded = b"\r\n\t ".join(
            signature[start : start + _LINE] for start in range(0, len(signature), _LINE)
        )
        return b"DKIM-Signature:" + value + b"\r\n\t " + folded + b"\r\n"


def _header(chunks: Iterator[bytes]) -> tuple[bytes, bytes]:
    """The header, and the beginning of the body; no header where it is too large."""
    data = bytearray()
    for chunk in chunks:
        searched = max(0, len(data) - 3)
        data += chunk
        end = 0 if data.startswith(b"\r\n") else data.find(_END_OF_HEADER, searched)
        if end >= 0:
            end = end + 4 if end else 2
            return bytes(data[:end]), bytes(data[end:])
        if len(data) > LARGEST_HEADER:
            return b"", b""
    return bytes(data), b""


def _canonical(domain: bytes | None) -> str:
    if domain is None:
        return ""
    text = domain.decode("utf-8", "replace").lower().rstrip(".")
    return text if text.isascii() else _ascii(text)


def _ascii(domain: str) -> str:
    try:
        return canonical_domain(domain)
    except AddressError:
        return ""


def _signed_fields(fields: Sequence[HeaderField]) -> list[tuple[bytes, bytes | None]]:
    """The names for `h=` in order, each with its field in canonical form, or None for one that is
    not there. Of several with one name the last comes first (RFC 6376 section 5.4.2)."""
    signed: list[tuple[bytes, bytes | None]] = []
    for name in (*_SEALED, *_SIGNED):
        found = [
            (name, relaxed_field(field.name, field.value))
            for field in reversed(fields)
            if field.name.lower() == name.lower()
        ]
        signed += found
        if name in _SEALED:
            signed.append((name, None))
    return signed


def _algorithm(key: SigningKey) -> str:
    return "rsa-sha256" if isinstance(key, rsa.RSAPrivateKey) else "ed25519-sha256"


def _raw_signature(key: SigningKey, data: bytes) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    # RFC 8463 section 3: what Ed25519 signs is the hash.
    return key.sign(hashlib.sha256(data).digest())


def _folded(tags: Sequence[str]) -> bytes:
    """The tags with `;` between them, folded; names in `h=` may be divided behind a colon."""
    lines = [" " * len("DKIM-Signature:")]
    pieces = []
    for number, tag in enumerate(tags):
        end = ";" if number < len(tags) - 1 else ""
        words = tag.replace(":", ":\n").split("\n") if tag.startswith("h=") else [tag]
        words[-1] += end
        pieces += [(word, index == 0) for index, word in enumerate(words)]
    for piece, begins_tag in pieces:
        blank = " " if begins_tag else ""
        if len(lines[-1]) + len(blank) + len(piece) > _WIDTH:
            lines.append(f"\t{piece}")
        else:
            lines[-1] += blank + piece
    return "\r\n".join(lines)[len("DKIM-Signature:") :].encode()
