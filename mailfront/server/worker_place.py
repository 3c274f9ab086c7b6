"""Which of the workers a process is, and its share of what is limited for all together."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from mailfront.authentication.throttle import ADDRESS_LIMIT, USER_LIMIT, Throttle
from mailfront.configuration.home import ServerRoot

# The kernel spreads the connections of one address by chance, never quite evenly.
_UNEVENNESS = 1.5
# Fewer failures than a person makes who mistypes a new password must not lock them out.
_LEAST_USER_LIMIT = 6.0


@dataclass(frozen=True, slots=True)
class WorkerPlace:
    """Worker `index` (from 0) of `count`; one process alone is the first of one."""

    index: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """Whether what only one process must do is done here: renewing certificates, taking over
        linked files, webmail with its sessions."""
        return self.index == 0

    def share(self, limit: int) -> int:
        """This worker's share of a limit; 0, which means none, stays 0."""
        return math.ceil(limit / self.count)

    def address_share(self, limit: int) -> int:
        """This worker's share of a limit for one address."""
        return min(limit, math.ceil(_UNEVENNESS * limit / self.count))

    def throttle(self) -> Throttle:
        """What counts failed logins where workers do not count together."""
        return Throttle(
            user_limit=min(USER_LIMIT, max(USER_LIMIT / self.count, _LEAST_USER_LIMIT)),
            address_limit=min(ADDRESS_LIMIT, max(ADDRESS_LIMIT / self.count, _LEAST_USER_LIMIT)),
        )

    def control_socket(self, root: ServerRoot) -> Path:
        """Where this process is asked for its status."""
        if self.count == 1:
            return root.control_socket
        return root.run_directory / f"worker-{self.index + 1}.sock"


ALONE = WorkerPlace()
