"""Options of the log."""

from __future__ import annotations

from mailfront.configuration.option import Option
from mailfront.configuration.option_types import Choice, RelativePath

LOG_LEVELS = (
    "Nolog",
    "Emergency",
    "Alert",
    "Critical",
    "Error",
    "Warning",
    "Notice",
    "Information",
    "Debug",
)

OPTIONS = (
    Option(
        "logfile.default.loglevel",
        Choice(LOG_LEVELS),
        "Notice",
        "How much is logged: everything as grave as this level or graver. Emergency, Alert and "
        "Critical mean the same here, and so do Notice and Information. Each connection's one line "
        "is of level Notice.",
    ),
    Option(
        "logfile.default.destination",
        RelativePath(("stderr",)),
        "stderr",
        "Where the log goes: stderr, which systemd and containers collect, or a file named by "
        "its path in the server root, such as log/mailfront.log.",
    ),
)
