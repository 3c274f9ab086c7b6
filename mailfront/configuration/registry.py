"""The registry: every option by its name. What is not here does not exist.

Takes the tuples of `configuration/options/`; gives options by name, the options whose names begin
alike, and the refusal of an unknown name with the nearest known one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mailfront.configuration.option import Option
from mailfront.configuration.options import (
    admin,
    directory,
    encryption,
    http,
    imap,
    logfile,
    login,
    policies,
    pop,
    queue,
    sending,
    service,
    sharing,
    smtp,
    store,
    upstream,
)
from mailfront.configuration.suggest import did_you_mean
from mailfront.errors import ConfigurationError


class Registry:
    """Options by name, in the order of their names."""

    def __init__(self, options: Iterable[Option]) -> None:
        listed = sorted(options, key=lambda option: option.name)
        self._options = {option.name: option for option in listed}
        assert len(self._options) == len(listed), "an option is registered twice"

    def __iter__(self) -> Iterator[Option]:
        return iter(self._options.values())

    def __len__(self) -> int:
        return len(self._options)

    def __contains__(self, name: object) -> bool:
        return name in self._options

    def __getitem__(self, name: str) -> Option:
        """Return an option that the program itself names; an unknown one is a `KeyError`."""
        return self._options[name]

    def names(self) -> tuple[str, ...]:
        """Return all names."""
        return tuple(self._options)

    def find(self, name: str) -> Option:
        """Return the option that an operator names. Raises `ConfigurationError`."""
        try:
            return self._options[name]
        except KeyError:
            raise ConfigurationError(
                f"there is no option {name!r}", remedy=self.remedy_for_unknown(name)
            ) from None

    def remedy_for_unknown(self, name: str) -> str:
        """Return the nearest known name, or how to list them, as a remedy."""
        return did_you_mean(name, self._options, otherwise="`configutil -l` lists all options")

    def beginning_with(self, prefix: str) -> tuple[Option, ...]:
        """Return the options whose names begin with `prefix`."""
        return tuple(option for option in self if option.name.startswith(prefix))


GROUPS = (
    ("Certificates and TLS", encryption.OPTIONS),
    ("All services", service.OPTIONS),
    ("SMTP and submission", smtp.OPTIONS),
    ("Mail to other servers", (*queue.OPTIONS, *sending.OPTIONS, *policies.OPTIONS)),
    ("IMAP", imap.OPTIONS),
    ("POP3", pop.OPTIONS),
    ("Webmail", (*http.OPTIONS, *policies.PUBLISHED)),
    ("Logins", login.OPTIONS),
    ("Message store", store.OPTIONS),
    ("User directory", directory.OPTIONS),
    ("Multiplexor", upstream.OPTIONS),
    ("Several front ends", sharing.OPTIONS),
    ("Log", logfile.OPTIONS),
    ("Admin listener", admin.OPTIONS),
)
"""Title and options of each group, in the order of the documentation."""

REGISTRY = Registry(option for _, options in GROUPS for option in options)
