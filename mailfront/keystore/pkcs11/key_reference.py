"""A private key on a token, as OpenSSL's pkcs11 provider wants it named.

Takes the token and the key, returns the URI of RFC 7512 and the PEM text that stands for a private
key in `load_cert_chain`. It holds no secret: the PIN goes another way. Pure.
"""

from __future__ import annotations

import base64
import string
import textwrap

_UNRESERVED = frozenset((string.ascii_letters + string.digits + "-._~").encode())
_DESCRIPTION = b"PKCS#11 Provider URI v1.0"
_SEQUENCE, _VISIBLE_STRING, _UTF8_STRING = 0x30, 0x1A, 0x0C


def key_uri(token: str, serial: str, identifier: bytes, nickname: str) -> str:
    """Return the URI of a private key (RFC 7512 section 2.3): by its CKA_ID, or its label if it
    has no CKA_ID."""
    parts = [f"token={_percent(token.encode())}"]
    if serial:
        parts.append(f"serial={_percent(serial.encode())}")
    if identifier:
        parts.append("id=" + "".join(f"%{octet:02X}" for octet in identifier))
    else:
        parts.append(f"object={_percent(nickname.encode())}")
    return f"pkcs11:{';'.join(parts)};type=private"


def key_pem(uri: str) -> bytes:
    """Return the PEM text by which the provider finds the key at `uri`."""
    der = _tagged(
        _SEQUENCE, _tagged(_VISIBLE_STRING, _DESCRIPTION) + _tagged(_UTF8_STRING, uri.encode())
    )
    lines = textwrap.wrap(base64.b64encode(der).decode(), 64)
    marker = "PKCS#11 PROVIDER URI"
    text = [f"-----BEGIN {marker}-----", *lines, f"-----END {marker}-----", ""]
    return "\n".join(text).encode()


def _percent(octets: bytes) -> str:
    return "".join(chr(each) if each in _UNRESERVED else f"%{each:02X}" for each in octets)


def _tagged(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(length)]) + length + content
