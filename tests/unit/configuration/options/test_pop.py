"""Options of POP3: their names and defaults."""

import pytest

from mailfront.configuration.msg_conf import Configuration
from mailfront.configuration.options.pop import OPTIONS
from mailfront.errors import ConfigurationError


def test_names_and_defaults() -> None:
    assert {option.name: option.default for option in OPTIONS} == {
        "service.pop.enable": "yes",
        "service.pop.port": "110",
        "service.pop.enablesslport": "yes",
        "service.pop.sslport": "995",
        "service.pop.sslusessl": "yes",
        "service.pop.plaintextmincipher": "128",
        "service.pop.maxsessions": "600",
        "service.pop.clientauth": "request",
        "service.pop.proxyprotocol": "no",
        "service.pop.idletimeout": "10",
    }


def test_the_idle_time_is_not_below_what_the_rfc_allows() -> None:
    """RFC 1939 section 3: at least ten minutes."""
    with pytest.raises(ConfigurationError):
        Configuration.of({"service.pop.idletimeout": "9"})
