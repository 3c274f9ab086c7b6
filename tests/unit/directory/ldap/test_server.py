import pytest

from mailfront.directory.ldap.server import (
    LONGEST_PAUSE,
    LdapServer,
    LdapTls,
    ServerStates,
    parse_servers,
)
from mailfront.errors import ConfigurationError

ONE, TWO = (LdapServer(name, 389, LdapTls.STARTTLS) for name in ("one", "two"))


def parsed(
    *names: str, port: int = 0, tls: bool = False, starttls: bool = False
) -> list[tuple[str, int, LdapTls]]:
    servers = parse_servers(names, default_port=port, implicit_tls=tls, starttls=starttls)
    return [(server.host, server.port, server.tls) for server in servers]


def test_servers_are_named_by_host_or_by_url() -> None:
    assert parsed("ldap1", "ldap2:1389", "ldaps://ldap3/", "ldaps://[::1]:1636") == [
        ("ldap1", 389, LdapTls.NONE),
        ("ldap2", 1389, LdapTls.NONE),
        ("ldap3", 636, LdapTls.IMPLICIT),
        ("::1", 1636, LdapTls.IMPLICIT),
    ]
    assert parsed("a", "ldap://b", tls=True) == [
        ("a", 636, LdapTls.IMPLICIT),
        ("b", 389, LdapTls.NONE),
    ]
    assert parsed("a", "ldaps://b", starttls=True, port=1000) == [
        ("a", 1000, LdapTls.STARTTLS),
        ("b", 1000, LdapTls.IMPLICIT),
    ]


@pytest.mark.parametrize("name", ["http://a", "a:b", "a:0", "a:99999", "a/b?c", "", "a b", "::1"])
def test_anything_else_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError):
        parsed(name)


def test_a_server_is_written_as_its_url() -> None:
    assert str(LdapServer("::1", 636, LdapTls.IMPLICIT)) == "ldaps://[::1]:636"
    assert str(ONE) == "ldap://one:389"


def test_a_server_that_failed_is_not_used_until_it_answers() -> None:
    states = ServerStates([ONE, TWO])
    assert states.usable() == [ONE, TWO]
    assert states.failed(ONE, "refused")
    assert not states.failed(ONE, "still refused")
    assert states.usable() == [TWO]
    assert states.problems() == ["ldap://one:389: still refused"]
    states.failed(TWO, "away")
    assert states.usable() == []
    assert states.answered(ONE)
    assert not states.answered(ONE)
    assert (states.usable(), states.problems()) == ([ONE], ["ldap://two:389: away"])


def test_pauses_grow_up_to_a_bound() -> None:
    states = ServerStates([ONE])
    pauses = []
    for _ in range(20):
        states.failed(ONE, "refused")
        pauses.append(states.pause(ONE))
    assert pauses[:3] == [0.25, 0.5, 1.0]
    assert max(pauses) == LONGEST_PAUSE
