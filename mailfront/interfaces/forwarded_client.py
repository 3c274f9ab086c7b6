"""What a front end before us tells of the client whose connection it passes on."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class ForwardedClient:
    """The client's address and port (empty and 0: not told), how many more front ends may follow
    (None: not told), and the name of the session in the logs of all of them (empty: not told)."""

    address: str = ""
    port: int = 0
    time_to_live: int | None = None
    session_id: str = ""

    def limits_alone(self) -> ForwardedClient:
        """What may be believed of anybody: it can only keep the teller's own login from going
        on."""
        return ForwardedClient(time_to_live=self.time_to_live)

    def over(self, earlier: ForwardedClient) -> ForwardedClient:
        """This, and what was told earlier where this says nothing; the time to live never grows."""
        lives = [each for each in (self.time_to_live, earlier.time_to_live) if each is not None]
        return replace(
            self if self.address else earlier,
            time_to_live=min(lives) if lives else None,
            session_id=self.session_id or earlier.session_id,
        )


NOTHING_TOLD = ForwardedClient()
