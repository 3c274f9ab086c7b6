"""What options by service have in common."""

import pytest

from mailfront.configuration.option_types import BadValueError
from mailfront.configuration.options import common


def test_a_service_is_enabled_by_default() -> None:
    assert common.enable("imap", "IMAP").default == "yes"


def test_ports_are_ports() -> None:
    option = common.port("imap", 143, "Port of IMAP.")
    assert option.name == "service.imap.port"
    for text in ("0", "65536"):
        with pytest.raises(BadValueError):
            option.canonical(text)


def test_implicit_tls_is_on_by_default_and_says_that_the_original_differs() -> None:
    enabled, port = common.tls_ports("imap", 993, "IMAP over TLS")
    assert (enabled.default, port.default) == ("yes", "993")
    assert "original's default is no" in enabled.help


def test_a_session_limit_is_at_least_one() -> None:
    option = common.maximum_sessions("imap", 4000, "IMAP")
    with pytest.raises(BadValueError):
        option.canonical("0")


def test_passwords_in_clear_are_off_by_default_and_the_help_says_that_the_original_differs() -> (
    None
):
    option = common.plaintext_minimum_cipher("imap", "IMAP", "LOGINDISABLED is announced")
    assert option.default == "128"
    assert "original's default is 0" in option.help


def test_tls_is_on_by_default() -> None:
    assert common.use_tls("imap", "IMAP", "STARTTLS").default == "yes"
