from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.channels.imta_cnf import load_channels
from mailfront.channels.table import ChannelTable
from mailfront.configuration.home import ServerRoot
from mailfront.errors import RoutingError

CHANNELS = """
l
localhost

tcp_local smtp mx maytls switchchannel
tcp-daemon

tcp_intranet smtp mx maytls allowswitchchannel
tcp_intranet-daemon

tcp_closed smtp noswitchchannel
tcp_closed-daemon

conversion
conversion-daemon
"""


def table(directory: Path, rules: str) -> ChannelTable:
    root = ServerRoot(directory)
    root.config_directory.mkdir(exist_ok=True)
    root.imta_cnf.write_text(rules + CHANNELS)
    root.imta_cnf.chmod(0o600)
    return load_channels(root)


RULES = """\
. $U%$H@tcp-daemon
.example.org $U%$H$D@tcp_intranet-daemon
.lab.example.org $U%$H$D@tcp_closed-daemon
example.org $U%$D@tcp_closed-daemon
[] $U%[$L]@tcp_closed-daemon
[10.] $U%[10.$L]@tcp_intranet-daemon
[10.1.0.0/16] $U%[$L]@tcp-daemon
[IPv6:2001:db8::/32] $F$U%[$L]@tcp_intranet-daemon
"""


@pytest.mark.parametrize(
    ("domain", "channel", "line"),
    [
        ("example.net", "tcp_local", 1),
        ("net", "tcp_local", 1),
        ("www.example.org", "tcp_intranet", 2),
        ("a.b.example.org", "tcp_intranet", 2),
        ("x.lab.example.org", "tcp_closed", 3),
        ("lab.example.org", "tcp_intranet", 2),
        ("EXAMPLE.org", "tcp_closed", 4),
        ("notexample.org", "tcp_local", 1),
        ("[192.0.2.1]", "tcp_closed", 5),
        ("[10.2.3.4]", "tcp_intranet", 6),
        ("[10.1.3.4]", "tcp_local", 7),
        ("[IPv6:2001:DB8::1]", "tcp_intranet", 8),
        ("[IPv6:2001:db9::1]", "tcp_closed", 5),
    ],
)
def test_the_most_specific_rule_counts(
    tmp_path: Path, domain: str, channel: str, line: int
) -> None:
    route = table(tmp_path, RULES).route(domain)
    assert (route.channel.name, route.rule.line) == (channel, line)


def test_a_route_names_the_domain_in_its_one_spelling(tmp_path: Path) -> None:
    channels = table(tmp_path, RULES)
    assert channels.route("Bücher.Example").domain == "xn--bcher-kva.example"
    assert channels.route("[ipv6:2001:DB8::1]").domain == "[IPv6:2001:db8::1]"


def test_a_rule_for_any_domain_first_comes_first(tmp_path: Path) -> None:
    channels = table(tmp_path, RULES + "$* $U%$H@tcp_closed-daemon\n")
    assert channels.route("www.example.org").channel.name == "tcp_closed"


def test_a_domain_without_a_rule_goes_nowhere(tmp_path: Path) -> None:
    channels = table(tmp_path, ".example.org $U%$H$D@tcp-daemon\n")
    with pytest.raises(RoutingError, match=r"no rewrite rule .* example\.net"):
        channels.route("example.net")


def test_a_channel_that_delivers_nothing_is_no_way(tmp_path: Path) -> None:
    channels = table(tmp_path, ". $U%$H@conversion-daemon\n")
    with pytest.raises(RoutingError, match="conversion, which delivers nothing"):
        channels.route("example.net")


@pytest.mark.parametrize("domain", ["", "[", "[x]", "[]", "a..b", "a b", "-a", "x" * 300])
def test_what_is_no_domain_is_refused(tmp_path: Path, domain: str) -> None:
    with pytest.raises(RoutingError):
        table(tmp_path, RULES).route(domain)


def test_clients_come_in_on_the_channel_of_their_port(tmp_path: Path) -> None:
    channels = table(tmp_path, RULES)
    assert channels.channel_of_port("smtp").name == "tcp_local"
    assert channels.channel_of_port("submission").name == "tcp_submit"
    assert channels.channel_of_port("submissions").name == "tcp_submit"


def test_ports_without_starttls_are_known(tmp_path: Path) -> None:
    assert table(tmp_path, RULES).ports_in_clear() == frozenset()
    text = RULES + CHANNELS.replace("tcp_local smtp mx maytls", "tcp_local smtp mx notls")
    root = ServerRoot(tmp_path)
    root.imta_cnf.write_text(text)
    assert load_channels(root).ports_in_clear() == {"smtp"}


@pytest.mark.parametrize(
    ("address", "channel"),
    [
        ("10.2.3.4", "tcp_intranet"),
        ("::ffff:10.2.3.4", "tcp_intranet"),
        ("10.1.2.3", "tcp_local"),
        # No rule for networks names it: [] and . are not for clients.
        ("192.0.2.1", "tcp_local"),
        # That rule is for recipients alone.
        ("2001:db8::1", "tcp_local"),
        ("", "tcp_local"),
        ("unknown", "tcp_local"),
    ],
)
def test_clients_of_a_network_come_in_on_the_channel_of_its_rule(
    tmp_path: Path, address: str, channel: str
) -> None:
    channels = table(tmp_path, RULES)
    arrival = channels.channel_of_port("smtp")
    assert channels.channel_of_client(arrival, address).name == channel


def test_both_channels_must_allow_the_switch(tmp_path: Path) -> None:
    channels = table(tmp_path, "[10.] $R$U%$D@tcp_closed-daemon\n. $U%$H@tcp-daemon\n")
    local = channels.channel_of_port("smtp")
    assert channels.channel_of_client(local, "10.0.0.1") is local
    submit = channels.channel_of_port("submission")
    assert channels.channel_of_client(submit, "10.0.0.1") is submit


@given(st.text(max_size=40) | st.text("[]:.0123456789abcdefIPv6", max_size=30))
def test_any_text_is_routed_or_refused(
    tmp_path_factory: pytest.TempPathFactory, domain: str
) -> None:
    channels = table(tmp_path_factory.mktemp("any"), RULES)
    try:
        route = channels.route(domain)
    except RoutingError:
        return
    assert route.domain
    assert channels.route(route.domain) == route
