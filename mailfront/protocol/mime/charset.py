"""Octets to text for people, by charset name; total and linear.

Takes octets and the charset that a message names, gives text. Unknown and unsuitable charsets fall
back to UTF-8, then to Windows-1252, which is what unlabelled mail mostly is. The conversion is the
standard library's; what is left out are its codecs that are no charsets or are not linear.
"""

from __future__ import annotations

import codecs

# Punycode and IDNA cost the square of the length; the others run escapes or always fail.
_REFUSED = frozenset(
    {"punycode", "idna", "undefined", "unicode-escape", "raw-unicode-escape", "mbcs", "oem"}
)
# Mail says us-ascii or iso-8859-1 and means these (WHATWG Encoding Standard §4.2).
_MEANT = {"ascii": "utf-8", "iso8859-1": "cp1252", "gb2312": "gb18030", "ks_c_5601-1987": "cp949"}


def decode_charset(data: bytes, charset: str) -> str:
    """`data` as text; octets that the charset does not know become U+FFFD."""
    name = _codec_name(charset)
    if name is None or name == "utf-8":
        return decode_unlabelled(data)
    try:
        return data.decode(name, "replace")
    except (LookupError, ValueError):
        # A codec such as zlib is no text encoding, which is said only when it is used.
        return decode_unlabelled(data)


def decode_unlabelled(data: bytes) -> str:
    """`data` as UTF-8 if it is, else as Windows-1252 (undefined octets become U+FFFD)."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _codec_name(charset: str) -> str | None:
    """The codec for a charset name of RFC 2045, its RFC 2231 language suffix dropped."""
    wanted = charset.partition("*")[0].strip().strip("\"'")
    if not 0 < len(wanted) <= 40 or not wanted.isascii() or "\x00" in wanted:
        return None
    try:
        found = codecs.lookup(_MEANT.get(wanted.lower(), wanted))
    except (LookupError, ValueError):
        return None
    name = found.name.replace("_", "-")
    return None if name in _REFUSED else _MEANT.get(found.name, found.name)
