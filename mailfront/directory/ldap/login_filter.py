"""The filter that finds who logs in, made from the operator's template.

Takes a template (`sasl.default.ldap.searchfilter`) in which `%s` stands for the whole login name,
`%U` for what is before the @ and `%V` for the domain; returns filters in which whatever was typed
is a value and never structure (RFC 4515 section 3).
"""

from __future__ import annotations

import re

from mailfront.directory.entry import Entry
from mailfront.errors import ConfigurationError
from mailfront.protocol.ldap_filter_encoding import encode_filter

_PLACE = re.compile(r"%(.?)", re.DOTALL)
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.@_-+= ,/:")


class LoginFilter:
    """A template, judged when it is made. Raises `ConfigurationError`.

    With `in_domain` an entry counts only if its `mail` is in the domain of the login name.
    """

    def __init__(self, template: str, *, in_domain: bool) -> None:
        self._template = template
        self._in_domain = in_domain
        self.encoded("user@domain")

    def text(self, login: str) -> str:
        """Return the filter that finds the full login name `login`."""
        local, _, domain = login.rpartition("@")
        values = {"s": login, "U": local, "V": domain}

        def filled(place: re.Match[str]) -> str:
            if place[1] == "%":
                return "%"
            if place[1] not in values:
                raise ConfigurationError(
                    f"sasl.default.ldap.searchfilter: %{place[1]} stands for nothing",
                    remedy="use %s (whole name), %U (before the @), %V (domain)",
                )
            return escaped(values[place[1]])

        return _PLACE.sub(filled, self._template)

    def encoded(self, login: str) -> bytes:
        """Return the same filter as a search request has it."""
        return encode_filter(self.text(login))

    def accepts(self, entry: Entry, login: str) -> bool:
        """Return whether an entry that the filter found may log in by this name."""
        return not self._in_domain or entry.domain == login.rpartition("@")[2]


def escaped(value: str) -> str:
    """Return a value as it stands in a filter, all but plain characters escaped."""
    return "".join(
        sign if sign in _PLAIN else "".join(f"\\{octet:02x}" for octet in sign.encode("utf-8"))
        for sign in value
    )
