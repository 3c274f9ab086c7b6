from dataclasses import replace

import pytest

from mailfront.authentication.access import is_granted, judge_access, parse_filter
from mailfront.directory.entry import AccountStatus, Entry
from mailfront.errors import DirectoryError
from mailfront.interfaces.peer import Peer

PEER = Peer("192.0.2.7", 40000, "192.0.2.1", 993)
ALICE = Entry(
    user="alice@example.test", uid="alice", addresses=frozenset({"alice@example.test"}),
    password_values=(), status=AccountStatus.ACTIVE, name="", mail_host="",
    service_access=(), line=1, end=2,
)  # fmt: skip


@pytest.mark.parametrize("status", [AccountStatus.ACTIVE, AccountStatus.OVER_QUOTA])
def test_active_accounts_log_in_and_full_ones_too_to_make_room(status: AccountStatus) -> None:
    assert judge_access(replace(ALICE, status=status), "imap", PEER) is None


@pytest.mark.parametrize(
    ("status", "temporary"),
    [
        (AccountStatus.INACTIVE, True),
        (AccountStatus.HOLD, False),
        (AccountStatus.DELETED, False),
    ],
)
def test_other_accounts_do_not(status: AccountStatus, temporary: bool) -> None:
    refusal = judge_access(replace(ALICE, status=status), "imap", PEER)
    assert refusal is not None
    assert refusal.temporary is temporary


@pytest.mark.parametrize(
    ("text", "service", "address", "granted"),
    [
        ("+imap,pop,http:*", "imap", "192.0.2.7", True),
        ("+imap,pop,http:*", "imta", "192.0.2.7", False),
        ("+imap:ALL$+pop:ALL$+http:ALL", "pop", "192.0.2.7", True),
        ("+pop:ALL", "imap", "192.0.2.7", False),
        ("-imap:*$-pop:*$-http:*", "imap", "192.0.2.7", False),
        ("-imap:*$-pop:*$-http:*", "imta", "192.0.2.7", True),
        ("+imap:ALL$-pop:ALL", "http", "192.0.2.7", True),
        ("-ALL:ALL EXCEPT 192.0.2.7", "imap", "192.0.2.7", True),
        ("-ALL:ALL EXCEPT 192.0.2.7", "imap", "192.0.2.8", False),
        ("-ALL:ALL EXCEPT 192.0.2. except 192.0.2.7", "imap", "192.0.2.7", False),
        ("-ALL:ALL EXCEPT 192.0.2. EXCEPT 192.0.2.7", "imap", "192.0.2.8", True),
        ("+ALL EXCEPT pop : 192.0.2.0/255.255.255.0", "imap", "192.0.2.8", True),
        ("+ALL EXCEPT pop : 192.0.2.0/255.255.255.0", "pop", "192.0.2.8", False),
        ("+imap:10.,192.0.", "imap", "::ffff:192.0.2.7", True),
        ("+imap:2001:db8::/32", "imap", "2001:db8::1", True),
        ("+imap:2001:db8::/32", "imap", "192.0.2.7", False),
        ("+imaps:*", "imap", "192.0.2.7", True),
        ("+smtp:*", "imta", "192.0.2.7", True),
        ("+imap:192.0.2.0/24", "imap", "not an address", False),
        ("+imap:ALL$-imap:ALL", "imap", "192.0.2.7", True),
    ],
)
def test_the_access_filter_decides_as_the_guide_says(
    text: str, service: str, address: str, granted: bool
) -> None:
    assert is_granted(list(parse_filter(text)), service, address) is granted


@pytest.mark.parametrize(
    "text",
    [
        "", "imap:ALL", "+imap", "+:ALL", "+imap:", "+imap:ALL EXCEPT ", "+imap:ALL$",
        "+gopher:ALL", "+imap:.example.com", "+imap:LOCAL", "-imap:@staff", "+imap:joe@host",
        "-imap:1.2.3.4.5.", "+imap:999.", "-imap:ALL EXCEPT UNKNOWN",
    ],
)  # fmt: skip
def test_a_filter_that_cannot_be_judged_shuts_the_account(text: str) -> None:
    with pytest.raises(DirectoryError):
        parse_filter(text)
    refusal = judge_access(replace(ALICE, service_access=(text,)), "imap", PEER)
    assert refusal is not None
    assert not refusal.temporary


def test_several_values_are_one_filter() -> None:
    entry = replace(ALICE, service_access=("+imap:ALL", "+pop:ALL"))
    assert judge_access(entry, "pop", PEER) is None
    assert judge_access(entry, "http", PEER) is not None
