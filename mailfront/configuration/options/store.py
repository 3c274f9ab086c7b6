"""Options of the message store."""

from __future__ import annotations

from mailfront.configuration.option import Option
from mailfront.configuration.option_types import Names

OPTIONS = (
    Option(
        "store.admins",
        Names(blanks_divide=True),
        "",
        "Users who are administrators, divided by commas or blanks: they see the status page. "
        "A name without a domain is of service.defaultdomain. The original's default is admin; "
        "here it is empty, so that nobody becomes an administrator by the choice of a name.",
    ),
)
