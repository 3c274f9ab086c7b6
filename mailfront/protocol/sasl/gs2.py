"""The GS2 header with which SCRAM and OAUTHBEARER messages begin (RFC 5801 section 4).

Takes the octets of a client's first message, returns the header and what follows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from mailfront.errors import SaslError, SaslFault
from mailfront.protocol.sasl.exchange import decode_text

_LONGEST_NAME = 1024


class Binding(Enum):
    """What the client says of channel binding (RFC 5802 section 6)."""

    UNSUPPORTED = b"n"
    NOT_OFFERED = b"y"
    """It could, but believes that the server cannot."""
    USED = b"p"


@dataclass(frozen=True, slots=True)
class Gs2Header:
    """The header; `octets` is the very text, commas included. `kind` names the channel binding."""

    binding: Binding
    kind: str
    authorization: str
    octets: bytes

    @classmethod
    def parse(cls, message: bytes) -> tuple[Gs2Header, bytes]:
        """Return the header of `message` and the rest. Raises `SaslError`."""
        flag, comma, rest = message.partition(b",")
        name, second_comma, rest = rest.partition(b",")
        if not comma or not second_comma:
            raise SaslError(SaslFault.INVALID, "a message without a GS2 header")
        authorization = ""
        if name:
            if not name.startswith(b"a=") or len(name) <= len(b"a="):
                raise SaslError(SaslFault.INVALID, "an attribute in the GS2 header that is not a=")
            authorization = decode_name(name[2:])
        octets = message[: len(message) - len(rest)]
        if flag.startswith(b"p="):
            kind = flag[2:].decode("ascii", "replace")
            return cls(Binding.USED, kind, authorization, octets), rest
        if flag not in (b"n", b"y"):
            raise SaslError(SaslFault.INVALID, "an unknown flag in the GS2 header")
        return cls(Binding(flag), "", authorization, octets), rest


def decode_name(text: bytes) -> str:
    """Return a name that was written as a saslname: `=2C` for a comma, `=3D` for an equals sign,
    and no other use of either (RFC 5801 section 4). Raises `SaslError`."""
    pieces = text.split(b"=")
    if len(text) > _LONGEST_NAME or any(piece[:2] not in (b"2C", b"3D") for piece in pieces[1:]):
        raise SaslError(SaslFault.INVALID, "a name that is not written as a saslname")
    if b"," in text:
        raise SaslError(SaslFault.INVALID, "a comma in a saslname")
    return decode_text(text.replace(b"=2C", b",").replace(b"=3D", b"="))
