from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.channels.channel import Demand, Exchangers
from mailfront.channels.imta_lines import Line
from mailfront.channels.keywords import KEYWORDS, Wishes, read_keywords, split_words
from mailfront.errors import ConfigurationError


def wishes(text: str) -> Wishes:
    line = Line(Path("imta.cnf"), 7, text)
    found = Wishes()
    read_keywords(line, split_words(line), found)
    return found


def refusal(text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        wishes(text)
    assert str(caught.value).startswith("imta.cnf:7: ")
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "client", "server"),
    [
        ("", None, None),
        ("notls", Demand.NEVER, Demand.NEVER),
        ("maytls", Demand.MAY, Demand.MAY),
        ("musttls", Demand.MUST, Demand.MUST),
        ("maytlsclient", Demand.MAY, None),
        ("musttlsserver", None, Demand.MUST),
        ("maytls musttlsserver", Demand.MAY, Demand.MUST),
        ("MAYTLS NOTLSCLIENT", Demand.NEVER, Demand.MAY),
    ],
)
def test_tls_keywords_are_for_one_side_or_both_and_the_last_one_counts(
    text: str, client: Demand | None, server: Demand | None
) -> None:
    found = wishes(text)
    assert (found.tls_client, found.tls_server) == (client, server)


def test_sasl_keywords_have_sides_too() -> None:
    found = wishes("mustsaslserver maysaslclient saslcredentials relay.login")
    assert (found.sasl_server, found.sasl_client) == (Demand.MUST, Demand.MAY)
    assert found.credentials == "relay.login"


def test_where_mail_goes_is_said_by_keywords() -> None:
    found = wishes("smtp randommx daemon Relay.Example.ORG port 587 maxjobs 3")
    assert found.sends
    assert found.exchangers is Exchangers.MX
    assert (found.daemon, found.port, found.max_jobs) == ("relay.example.org", 587, 3)


@pytest.mark.parametrize(
    ("text", "daemon"), [("[192.0.2.1]", "[192.0.2.1]"), ("2001:db8::1", "[IPv6:2001:db8::1]")]
)
def test_a_daemon_may_be_an_address(text: str, daemon: str) -> None:
    assert wishes(f"daemon {text}").daemon == daemon


def test_blocks_are_1024_octets() -> None:
    assert wishes("sourceblocklimit 20").source_block_limit == 20480


def test_backoff_and_notices_take_times_up_to_the_next_keyword() -> None:
    found = wishes('backoff "pt5m" PT30M notices PT3H 1 5 mx')
    assert found.backoff == (300.0, 1800.0)
    assert found.notices == (10800.0, 86400.0, 432000.0)
    assert found.exchangers is Exchangers.MX


def test_keywords_that_say_nothing_here_are_noted_once() -> None:
    found = wishes("identnone logging pool SMTP_POOL logging subdirs 20 defaulthost a.example b.c")
    assert found.without_effect == ["identnone", "logging", "pool", "subdirs", "defaulthost"]


def test_switches_by_address_have_three_states() -> None:
    for text, state in (
        ("switchchannel", (True, True)),
        ("allowswitchchannel", (False, True)),
        ("noswitchchannel", (False, False)),
    ):
        found = wishes(text)
        assert (found.switches, found.switched_to) == state


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("maytsl", "unknown keyword maytsl: did you mean maytls?"),
        ("saslswitchchannel", "takes an argument"),
        ("saslswitchchannel maytls", "takes the name of a channel, not maytls"),
        ("port 0", "takes a number from 1 to 65535, not 0"),
        ("port x", "takes a number"),
        ("maxjobs 100000", "takes a number from 1 to 1000"),
        ("daemon a..b", "takes a host name or an address"),
        ("backoff mx", "backoff takes 1 to"),
        ("notices 2 1", "must grow"),
        ("notices soon", "neither a time nor a keyword"),
        ("nodns", "not supported"),
        ("pool", "takes an argument"),
        ('daemon "a', "quotation mark"),
        ('a"b', "quotation mark"),
    ],
)
def test_a_wrong_keyword_is_told_with_its_remedy(text: str, told: str) -> None:
    assert told in refusal(text)


@given(st.lists(st.sampled_from(sorted(KEYWORDS)) | st.text('ab1."$\x00é', max_size=6), max_size=8))
def test_any_words_are_read_or_refused(words: list[str]) -> None:
    try:
        wishes(" ".join(words))
    except ConfigurationError:
        return
