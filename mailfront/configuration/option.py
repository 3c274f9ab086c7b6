"""One option: everything that is known about it before anybody sets it.

`configutil`, `config/msg.conf`, the options page of the documentation and the validation of values
all read these records; nothing about an option is written anywhere else.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from mailfront.configuration.option_types import OptionType, Value


class Effect(enum.Enum):
    """When a changed value counts."""

    LIVE = "live"
    RESTART = "restart"

    @property
    def sentence(self) -> str:
        """When a changed value counts, for people."""
        if self is Effect.LIVE:
            return "a running server follows within two seconds"
        return "takes effect when the server is started again"


@dataclass(frozen=True, slots=True)
class Option:
    """An option's name, type, default (in its canonical text), help, first version and effect."""

    name: str
    type: OptionType
    default: str
    help: str
    effect: Effect = Effect.RESTART
    since: str = "0.1"

    @property
    def default_value(self) -> Value:
        """The default as the server uses it."""
        return self.type.parse(self.default)

    def canonical(self, text: str) -> str:
        """Return the canonical form of a value's text. Raises `BadValueError`."""
        return self.type.text(self.type.parse(text))
