from dataclasses import replace

import pytest

from mailfront.authentication.login_cache import LoginCache
from mailfront.directory.entry import AccountStatus, Entry
from mailfront.interfaces.secret import Secret

ALICE = Entry(
    user="alice@example.test", uid="alice", addresses=frozenset({"alice@example.test"}),
    password_values=("{SSHA}x",), status=AccountStatus.ACTIVE, name="", mail_host="",
    service_access=(), line=1, end=2,
)  # fmt: skip


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(clock: Clock) -> LoginCache:
    return LoginCache(capacity=2, lifetime=900, clock=clock)


def test_a_success_is_remembered_for_its_lifetime(cache: LoginCache, clock: Clock) -> None:
    key = cache.key("alice", Secret("pw"))
    assert not cache.holds(key, ALICE)
    cache.store(key, ALICE)
    clock.now = 899
    assert cache.holds(key, ALICE)
    clock.now = 900
    assert not cache.holds(key, ALICE)


@pytest.mark.parametrize(
    "changed",
    [
        replace(ALICE, password_values=("{SSHA}y",)),
        replace(ALICE, password_values=()),
        replace(ALICE, status=AccountStatus.INACTIVE),
        replace(ALICE, revision="20260101000001.000000Z#000000#000#000000"),
    ],
)
def test_a_changed_password_status_or_revision_forgets_it_for_good(
    cache: LoginCache, changed: Entry
) -> None:
    key = cache.key("alice", Secret("pw"))
    cache.store(key, ALICE)
    assert not cache.holds(key, changed)
    assert not cache.holds(key, ALICE)


def test_another_line_in_the_file_does_not_matter(cache: LoginCache) -> None:
    key = cache.key("alice", Secret("pw"))
    cache.store(key, ALICE)
    assert cache.holds(key, replace(ALICE, line=7, end=9))


def test_the_key_tells_users_and_passwords_apart_and_neither_of_them(cache: LoginCache) -> None:
    keys = {
        cache.key(user, Secret(password))
        for user, password in [("a", "bc"), ("ab", "c"), ("abc", ""), ("", "abc"), ("a", "\ud800")]
    }
    assert len(keys) == 5
    assert all(len(key) == 32 for key in keys)
    assert LoginCache().key("a", Secret("bc")) not in keys


def test_the_oldest_makes_room(cache: LoginCache) -> None:
    keys = [cache.key("alice", Secret(str(number))) for number in range(3)]
    for key in keys:
        cache.store(key, ALICE)
    assert [cache.holds(key, ALICE) for key in keys] == [False, True, True]


def test_a_cache_without_room_keeps_nothing() -> None:
    cache = LoginCache(capacity=0)
    key = cache.key("alice", Secret("pw"))
    cache.store(key, ALICE)
    assert not cache.holds(key, ALICE)
