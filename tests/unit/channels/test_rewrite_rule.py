import ipaddress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.channels.imta_lines import Line
from mailfront.channels.rewrite_rule import Kind, RewriteRule, parse_rule
from mailfront.errors import ConfigurationError


def rule(text: str) -> RewriteRule:
    return parse_rule(Line(Path("imta.cnf"), 3, text))


def refusal(text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        rule(text)
    assert str(caught.value).startswith("imta.cnf:3: ")
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "kind", "domain"),
    [
        (". $U%$H@tcp-daemon", Kind.ANY, ""),
        (". $E$U%$H$D@tcp-daemon", Kind.ANY, ""),
        ("$* $U%$H@tcp-daemon", Kind.ANY_FIRST, ""),
        (".Example.ORG $U%$H$D@tcp-daemon", Kind.SUBDOMAINS, "example.org"),
        (".example.org $U%$H.example.org@tcp-daemon", Kind.SUBDOMAINS, "example.org"),
        ("example.org $U%$D@tcp-daemon", Kind.DOMAIN, "example.org"),
        ("example.org $U%example.org@tcp-daemon", Kind.DOMAIN, "example.org"),
        ("bücher.example $U%$D@tcp-daemon", Kind.DOMAIN, "xn--bcher-kva.example"),
        ("[] $U%[$L]@tcp-daemon", Kind.ANY_LITERAL, ""),
    ],
)
def test_a_pattern_says_what_it_is_for(text: str, kind: Kind, domain: str) -> None:
    found = rule(text)
    assert (found.kind, found.domain, found.host) == (kind, domain, "tcp-daemon")


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("[192.0.2.1] $U%$D@tcp-daemon", "192.0.2.1/32"),
        ("[192.0.2.] $U%[192.0.2.$L]@tcp-daemon", "192.0.2.0/24"),
        ("[10.] $U%[10.$L]@tcp-daemon", "10.0.0.0/8"),
        ("[192.0.2.0/25] $U%[$L]@tcp-daemon", "192.0.2.0/25"),
        ("[IPv6:2001:db8::/32] $U%[$L]@tcp-daemon", "2001:db8::/32"),
    ],
)
def test_address_literals_are_networks(text: str, network: str) -> None:
    assert rule(text).network == ipaddress.ip_network(network)


def test_the_official_host_has_no_case() -> None:
    assert rule(". $U%$H@TCP-DAEMON").host == "tcp-daemon"


@pytest.mark.parametrize(
    ("controls", "recipients", "senders"),
    [("", True, True), ("$F", True, False), ("$R", False, True), ("$A$E$F", True, False)],
)
def test_controls_say_whose_addresses_a_rule_is_for(
    controls: str, recipients: bool, senders: bool
) -> None:
    found = rule(f". {controls}$U%$H@tcp-daemon")
    assert (found.for_recipients, found.for_senders) == (recipients, senders)


def test_a_rule_for_domains_of_ours_is_left_to_the_directory() -> None:
    found = rule("$* $A$E$F$U%$H$V$H@host.example.com")
    assert not found.for_recipients
    assert not found.for_senders


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("example.org", "are 1 words"),
        ("tcp_local smtp mx", "after the first blank line"),
        (". $U%$H", "is not user%domain@host"),
        (". $U@tcp-daemon", "is not user%domain@host"),
        (". $U%$H@tcp-daemon@more", "is not user%domain@host"),
        (". $U%$H@tcp-daemon$", "ends with $"),
        (". $U%other.example@tcp-daemon", "would change the address"),
        (". postmaster%$H@tcp-daemon", "would change the address"),
        (".example.org $U%$H@tcp-daemon", "would change the address"),
        ("[] $E$R${INTERNAL_IP,$L}$U%[$L]@tcp_intranet-daemon", "mapping tables are not read"),
        (". $?no$U%$H@tcp-daemon", "mail is not refused by rules"),
        (". $Mtcp_local$U%$H@tcp-daemon", "the same for all channels"),
        (". $1U%$H@tcp-daemon", "is not known here"),
        ("*.example.org $U%$H$D@tcp-daemon", "wildcards"),
        ("a..b $U%$D@tcp-daemon", "is no domain"),
        ("[300.] $U%[$L]@tcp-daemon", "no address literal"),
        ("[192.0.2.1/24] $U%[$L]@tcp-daemon", "no address literal"),
        ("[192.0.2.1 $U%[$L]@tcp-daemon", "no address literal"),
        (". $U%$H@$H", "is no host"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(text: str, told: str) -> None:
    assert told in refusal(text)


@given(
    pattern=st.text("$*.[]a1:/%{", min_size=1, max_size=12),
    template=st.text("$%@UHDLEFRV[]{}a-.", min_size=1, max_size=20),
)
def test_any_rule_is_read_or_refused(pattern: str, template: str) -> None:
    try:
        found = rule(f"{pattern} {template}")
    except ConfigurationError:
        return
    assert found.host
    assert found.kind in Kind
