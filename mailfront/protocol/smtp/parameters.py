"""Parameters of MAIL and RCPT (RFC 5321 section 4.1.2, esmtp-param).

Known: SIZE (RFC 1870), BODY (RFC 6152), SMTPUTF8 (RFC 6531), AUTH (RFC 4954 section 5), RET, ENVID,
NOTIFY and ORCPT (RFC 3461 section 4), REQUIRETLS (RFC 8689). Each counts only where EHLO offered
it. BODY=BINARYMIME (RFC 3030) is never offered: nothing here could pass it on to a server that has
none of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mailfront.errors import SmtpRefusalError
from mailfront.interfaces.mail_relay import RelayOffer
from mailfront.interfaces.message_sink import MailOptions, RecipientOptions

# RFC 3461 section 4: the most that RCPT's ORCPT and MAIL's ENVID may hold, keyword excluded.
LONGEST_ORIGINAL = 500
LONGEST_ENVELOPE_ID = 100

_PARAMETER = re.compile(r"(?P<keyword>[A-Za-z0-9][A-Za-z0-9-]*)(?:=(?P<value>[^\x00- =\x7f]+))?")
_SIZE = re.compile(r"[0-9]{1,20}")
# RFC 3461 section 4.
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})+")
# An address type is an atom (RFC 3461 section 4.2).
_ORIGINAL = re.compile(rf"[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~-]+;{_XTEXT.pattern}")
# RFC 6533 section 3: the type "utf-8", with characters as such where MAIL said SMTPUTF8.
_INTERNATIONAL_ORIGINAL = re.compile(
    r"utf-8;(?:[!-*,-<>-~\u00a0-\U0010ffff]|\+[0-9A-F]{2})+", re.IGNORECASE
)
_RETURNED = frozenset({"FULL", "HDRS"})
_NOTIFIED = frozenset({"SUCCESS", "FAILURE", "DELAY"})
_NEVER = frozenset({"NEVER"})
_NO_OPTIONS = MailOptions()


@dataclass(frozen=True, slots=True)
class MailParameters:
    """What a client announced with MAIL. `size` is None where it did not say."""

    size: int | None = None
    options: MailOptions = _NO_OPTIONS


def parse_mail_parameters(
    text: str, offer: RelayOffer, *, auth: bool = False, tls: bool = False
) -> MailParameters:
    """Parse the parameters of MAIL; known are those of `offer`, AUTH= where `auth` says that AUTH
    was offered, and REQUIRETLS within TLS.

    The value of AUTH= is checked and ignored: no client is trusted to name the submitter of
    somebody else's mail, which RFC 4954 section 5 lets us treat as `AUTH=<>`.
    Raises `SmtpRefusalError`.
    """
    given = _split(text)
    known = {
        "SIZE": True,
        "BODY": offer.eight_bit,
        "SMTPUTF8": offer.utf8,
        "RET": offer.dsn,
        "ENVID": offer.dsn,
        "REQUIRETLS": offer.require_tls and tls,
        "AUTH": auth,
    }
    if not all(known.get(keyword) for keyword in given):
        raise SmtpRefusalError(555, "5.5.4", "Unknown MAIL parameter")
    size = _value(given, "SIZE", _SIZE)
    body = _word(given, "BODY", frozenset({"7BIT", "8BITMIME"}))
    if given.get("AUTH") != "<>":
        _value(given, "AUTH", _XTEXT)
    return MailParameters(
        int(size) if size else None,
        MailOptions(
            eight_bit=body == "8BITMIME",
            utf8=_flag(given, "SMTPUTF8"),
            require_tls=_flag(given, "REQUIRETLS"),
            return_content=_word(given, "RET", _RETURNED),
            envelope_id=_value(given, "ENVID", _XTEXT, LONGEST_ENVELOPE_ID),
        ),
    )


def parse_recipient_parameters(text: str, *, dsn: bool, utf8: bool = False) -> RecipientOptions:
    """Parse the parameters of RCPT: NOTIFY and ORCPT, if DSN was offered; `utf8` says that MAIL
    said SMTPUTF8. Raises `SmtpRefusalError`.
    """
    given = _split(text)
    if given and not (dsn and given.keys() <= {"NOTIFY", "ORCPT"}):
        raise SmtpRefusalError(555, "5.5.4", "Unknown RCPT parameter")
    notify: frozenset[str] = frozenset()
    if "NOTIFY" in given:
        notify = frozenset((given["NOTIFY"] or "").upper().split(","))
        if notify != _NEVER and not notify <= _NOTIFIED:
            raise _bad_value("NOTIFY")
    original = given.get("ORCPT") or ""
    if not (utf8 and _is_international(original)):
        original = _value(given, "ORCPT", _ORIGINAL, LONGEST_ORIGINAL)
    return RecipientOptions(notify, original)


def _is_international(original: str) -> bool:
    well_formed = _INTERNATIONAL_ORIGINAL.fullmatch(original) and original.isprintable()
    return bool(well_formed) and len(original.encode()) <= LONGEST_ORIGINAL


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


def _value(
    given: dict[str, str | None], keyword: str, syntax: re.Pattern[str], longest: int = 2048
) -> str:
    """The value of a parameter, empty if it was not given."""
    if keyword not in given:
        return ""
    value = given[keyword]
    if value is None or len(value) > longest or not syntax.fullmatch(value):
        raise _bad_value(keyword)
    return value


def _word(given: dict[str, str | None], keyword: str, words: frozenset[str]) -> str:
    """One of `words`, in capitals; empty if the parameter was not given."""
    if keyword not in given:
        return ""
    value = (given[keyword] or "").upper()
    if value not in words:
        raise _bad_value(keyword)
    return value


def _flag(given: dict[str, str | None], keyword: str) -> bool:
    """Whether a parameter that takes no value was given."""
    if given.get(keyword) is not None:
        raise _bad_value(keyword)
    return keyword in given


def _bad_value(keyword: str) -> SmtpRefusalError:
    return SmtpRefusalError(501, "5.5.4", f"Bad value of the parameter {keyword}")
