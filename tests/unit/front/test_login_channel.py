"""What state machines know of a connection."""

from __future__ import annotations

from mailfront.front.login_channel import CLEAR, LoginChannel


def test_in_clear_there_is_no_cipher_no_certificate_and_nothing_to_bind_to() -> None:
    assert LoginChannel(0, certificate=False, channel_binding=None) == CLEAR
