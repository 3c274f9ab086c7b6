"""Parameters of MAIL and RCPT (RFC 5321 section 4.1.2, esmtp-param).

Known: SIZE (RFC 1870), BODY (RFC 6152), SMTPUTF8 (RFC 6531), AUTH (RFC 4954 section 5).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mailfront.errors import SmtpRefusalError

_PARAMETER = re.compile(
    r"(?P<keyword>[A-Za-z0-9][A-Za-z0-9-]*)(?:=(?P<value>[!-<>-~\u0080-\U0010ffff]+))?"
)
_SIZE = re.compile(r"[0-9]{1,20}")
# RFC 3461 section 4.
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})+")


@dataclass(frozen=True, slots=True)
class MailParameters:
    """What a client announced with MAIL. `size` is None where it did not say."""

    size: int | None = None
    smtputf8: bool = False
    eight_bit: bool = False


def parse_mail_parameters(
    text: str, *, auth: bool, utf8: bool = True, eight_bit: bool = True
) -> MailParameters:
    """Parse the parameters of MAIL; AUTH= is known only where `auth` says that AUTH was offered,
    SMTPUTF8 and BODY= likewise.

    The value of AUTH= is checked and ignored: no client is trusted to name the submitter of
    somebody else's mail, which RFC 4954 section 5 lets us treat as `AUTH=<>`.
    Raises `SmtpRefusalError`.
    """
    size: int | None = None
    smtputf8 = wants_eight_bit = False
    for keyword, value in _split(text).items():
        if keyword == "SIZE":
            if value is None or not _SIZE.fullmatch(value):
                raise _bad_value("SIZE")
            size = int(value)
        elif keyword == "BODY" and eight_bit:
            if value is None or value.upper() not in ("7BIT", "8BITMIME"):
                raise _bad_value("BODY")
            wants_eight_bit = value.upper() == "8BITMIME"
        elif keyword == "SMTPUTF8" and utf8:
            if value is not None:
                raise _bad_value("SMTPUTF8")
            smtputf8 = True
        elif keyword == "AUTH" and auth:
            if value is None or (value != "<>" and not _XTEXT.fullmatch(value)):
                raise _bad_value("AUTH")
        else:
            raise SmtpRefusalError(555, "5.5.4", "Unknown MAIL parameter")
    return MailParameters(size, smtputf8, wants_eight_bit)


def parse_recipient_parameters(text: str) -> None:
    """Check the parameters of RCPT: none is known. Raises `SmtpRefusalError`."""
    if _split(text):
        raise SmtpRefusalError(555, "5.5.4", "Unknown RCPT parameter")


def _split(text: str) -> dict[str, str | None]:
    parameters: dict[str, str | None] = {}
    for word in text.split():
        parameter = _PARAMETER.fullmatch(word)
        if parameter is None:
            raise SmtpRefusalError(501, "5.5.4", "Syntax error in the parameters")
        keyword = parameter["keyword"].upper()
        if keyword in parameters:
            raise SmtpRefusalError(501, "5.5.4", "A parameter is given twice")
        parameters[keyword] = parameter["value"]
    return parameters


def _bad_value(keyword: str) -> SmtpRefusalError:
    return SmtpRefusalError(501, "5.5.4", f"Bad value of the parameter {keyword}")
