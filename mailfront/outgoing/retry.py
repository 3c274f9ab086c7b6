"""When a recipient is tried again, and when its sender hears that it still waits.

Channel keywords (`backoff`, `notices`) win over the options. RFC 5321 section 4.5.4.1: at least 30
minutes between attempts is asked for in the long run, and 4 to 5 days until a message is given up.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from mailfront.channels.channel import Channel

# Messages that came together must not come together for ever.
JITTER = 0.2


@dataclass(frozen=True, slots=True)
class RetrySettings:
    """Times in seconds: the first wait, which doubles with each attempt, the longest one; the ages
    of a message at which its sender is told of the delay; the age at which it is given up."""

    first: float = 300.0
    longest: float = 4 * 3600.0
    warnings: tuple[float, ...] = (3 * 3600.0, 24 * 3600.0)
    expiry: float = 5 * 24 * 3600.0

    def wait(self, channel: Channel | None, attempts: int) -> float:
        """How long to wait after so many attempts (at least one) that did not succeed."""
        if channel is not None and channel.backoff:
            wait = channel.backoff[min(attempts, len(channel.backoff)) - 1]
        else:
            # 2**30 times anything is beyond the longest.
            wait = min(self.longest, self.first * 2 ** min(attempts - 1, 30))
        return wait * random.uniform(1.0, 1.0 + JITTER)  # noqa: S311

    def lifetime(self, channel: Channel | None) -> float:
        """The age at which a message is given up."""
        if channel is not None and channel.notices:
            return channel.notices[-1]
        return self.expiry

    def notice(self, channel: Channel | None, told: int) -> float:
        """The age at which something is due after `told` warnings: the next warning, or the end."""
        if channel is not None and channel.notices:
            warnings: tuple[float, ...] = channel.notices[:-1]
        else:
            warnings = self.warnings
        lifetime = self.lifetime(channel)
        return min(warnings[told], lifetime) if told < len(warnings) else lifetime
