"""Options of the admin listener."""

from __future__ import annotations

from mailfront.configuration.option import Option
from mailfront.configuration.option_types import Integer
from mailfront.configuration.options.common import HIGHEST_PORT

OPTIONS = (
    Option(
        "service.admin.port",
        Integer(0, HIGHEST_PORT),
        "0",
        "Port on 127.0.0.1 where metrics for Prometheus (/metrics) and the status as JSON "
        "(/status) are served in clear, without a login; 0: nowhere.",
    ),
)
"""What the admin listener can be told."""
