"""Options of IMAP: their names and defaults."""

import pytest

from mailfront.configuration.msg_conf import Configuration
from mailfront.configuration.options.imap import OPTIONS
from mailfront.errors import ConfigurationError


def test_names_and_defaults() -> None:
    assert {option.name: option.default for option in OPTIONS} == {
        "service.imap.enable": "yes",
        "service.imap.port": "143",
        "service.imap.enablesslport": "yes",
        "service.imap.sslport": "993",
        "service.imap.sslusessl": "yes",
        "service.imap.plaintextmincipher": "128",
        "service.imap.maxsessions": "4000",
        "service.imap.clientauth": "request",
        "service.imap.proxyprotocol": "no",
        "service.imap.idletimeout": "30",
        "service.imap.literallimit": "36700160",
    }


def test_the_idle_time_is_not_below_what_the_rfc_allows() -> None:
    """RFC 9051 section 5.4: at least thirty minutes."""
    with pytest.raises(ConfigurationError):
        Configuration.of({"service.imap.idletimeout": "29"})
