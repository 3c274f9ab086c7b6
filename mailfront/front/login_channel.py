"""What of a connection matters to logins: records without input or output, for the state machines.

`front.agreed_channel` fills them in once TLS is agreed on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LoginChannel:
    """The strength of the cipher in bits (0: in clear), whether the client's certificate may log
    somebody in, the channel binding by kind (None: there is none), and whether the client is a
    front end whose word about its own client is believed."""

    cipher_bits: int = 0
    certificate: bool = False
    channel_binding: Callable[[str], bytes | None] | None = None
    is_front_end: bool = False


CLEAR = LoginChannel()
