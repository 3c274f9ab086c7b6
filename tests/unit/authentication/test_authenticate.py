"""Logins of every kind: who gets in, as whom, what a stranger can tell, and what is counted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

import pytest

from mailfront.authentication.authenticate import FAILURE_JITTER, FAILURE_TIME
from mailfront.authentication.certificate_login import LoginRules
from mailfront.authentication.password import hash_password
from mailfront.authentication.scram_verifier import make_value, parse_value
from mailfront.directory.entry import AccountStatus
from mailfront.errors import DirectoryUnavailableError
from mailfront.interfaces.authenticator import Identity, Refusal
from mailfront.interfaces.client_certificate import CertificateFault, ClientCertificate
from mailfront.interfaces.credentials import (
    BearerCredentials,
    CertificateCredentials,
    Credentials,
    PasswordCredentials,
    ScramCredentials,
    ScramVerifier,
)
from mailfront.interfaces.secret import Secret
from tests.support.login_desk import ADMIN, ALICE, BOB, CERTIFICATE, RIGHT, Desk

EXTERNAL = CertificateCredentials("")


class MakeDesk(Protocol):
    """What the fixture `make_desk` gives: desks that are closed after the test."""

    def __call__(self, *, rules: Mapping[str, LoginRules] | None = None, **limits: int) -> Desk: ...


@pytest.fixture
def make_desk() -> Iterator[MakeDesk]:
    desks: list[Desk] = []

    def make(*, rules: Mapping[str, LoginRules] | None = None, **limits: int) -> Desk:
        desks.append(Desk(rules=rules, **limits))
        return desks[-1]

    yield make
    for desk in desks:
        desk.authenticator.close()


@pytest.fixture
def desk(make_desk: MakeDesk) -> Desk:
    return make_desk()


async def test_the_right_password_gives_the_identity_at_once(desk: Desk) -> None:
    identity = await desk.login()
    assert identity == Identity(
        "alice@xn--bcher-kva.example",
        frozenset({"alice@xn--bcher-kva.example", "alice@bücher.example", "a@example.test"}),
        "PLAIN",
    )
    assert desk.slept == []


async def test_unknown_user_wrong_password_and_deleted_account_look_the_same(desk: Desk) -> None:
    refusals = [
        await desk.refusal("nobody"),
        await desk.refusal(password=Secret("wrong")),
        await desk.refusal(password=Secret("a\0b")),
        await desk.refusal("x" * 100_000),
    ]
    desk.directory.entry = replace(ALICE, status=AccountStatus.DELETED)
    refusals.append(await desk.refusal())
    assert {(refusal.text, refusal.temporary) for refusal in refusals} == {
        ("Invalid user name or password.", False)
    }
    assert desk.checker.asked == 5
    assert all(seconds >= FAILURE_TIME for seconds in desk.slept)


@pytest.mark.parametrize(
    ("taken", "answered"), [(0.0, 1), (0.3, 1), (0.5, 2), (0.7, 2), (1.2, 3), (7.9, 16)]
)
async def test_a_slow_check_does_not_show_how_long_it_took(
    desk: Desk, taken: float, answered: int
) -> None:
    def pass_time() -> None:
        desk.now += taken

    desk.directory.meanwhile = pass_time
    await desk.refusal(password=Secret("wrong"))
    beyond = taken + desk.slept[0] - answered * FAILURE_TIME
    assert -1e-9 <= beyond <= FAILURE_JITTER + 1e-9


async def test_a_repeated_login_costs_no_check_until_the_password_changes(desk: Desk) -> None:
    for _ in range(3):
        assert isinstance(await desk.login(), Identity)
    assert desk.checker.asked == 1
    assert isinstance(await desk.login(password=Secret("wrong")), Refusal)
    desk.directory.entry = replace(ALICE, password_values=(hash_password(Secret("new")),))
    assert isinstance(await desk.login(), Refusal)
    assert isinstance(await desk.login(password=Secret("new")), Identity)


async def test_many_equal_logins_at_once_are_one_check(desk: Desk) -> None:
    answers = await asyncio.gather(*(desk.login() for _ in range(50)))
    assert all(isinstance(answer, Identity) for answer in answers)
    assert desk.checker.asked == 1


async def test_many_different_guesses_at_once_are_few_checks(make_desk: MakeDesk) -> None:
    desk = make_desk(user_limit=5)
    guesses = [Secret(str(number)) for number in range(50)]
    answers = await asyncio.gather(*(desk.login(password=guess) for guess in guesses))
    assert desk.checker.asked == 5
    assert sum(isinstance(answer, Refusal) and answer.temporary for answer in answers) == 45


async def test_a_throttled_login_is_refused_even_with_the_right_password(
    make_desk: MakeDesk,
) -> None:
    desk = make_desk(user_limit=2)
    for number in range(2):
        await desk.login(password=Secret(f"wrong {number}"))
    refusal = await desk.login(address="198.51.100.1")
    assert isinstance(refusal, Refusal)
    assert (refusal.temporary, refusal.reason) == (True, "throttled")
    assert desk.checker.asked == 2
    desk.now += 300
    assert isinstance(await desk.login(), Identity)


async def test_a_cached_success_is_no_way_around_the_throttle(make_desk: MakeDesk) -> None:
    desk = make_desk(user_limit=2)
    assert isinstance(await desk.login(address="203.0.113.5"), Identity)
    for number in range(2):
        await desk.login(password=Secret(f"wrong {number}"))
    assert isinstance(await desk.login(), Refusal)
    assert isinstance(await desk.login(address="203.0.113.5"), Identity)


async def test_more_logins_than_there_is_room_for_are_refused_for_a_while(
    make_desk: MakeDesk,
) -> None:
    desk = make_desk(waiting=3)
    names = [f"user{number}" for number in range(10)]
    answers = await asyncio.gather(*(desk.login(name) for name in names))
    assert sum(isinstance(answer, Refusal) and answer.temporary for answer in answers) == 7
    assert isinstance(await desk.login(), Identity)


async def test_a_client_that_leaves_early_has_its_failure_counted(make_desk: MakeDesk) -> None:
    desk = make_desk(user_limit=2)
    for number in range(2):
        login = asyncio.ensure_future(desk.login(password=Secret(f"wrong {number}")))
        await asyncio.sleep(0)
        login.cancel()
        with pytest.raises(asyncio.CancelledError):
            await login
    assert (await desk.refusal()).reason == "throttled"


async def test_the_status_of_an_account_is_told_only_for_the_right_password(desk: Desk) -> None:
    desk.directory.entry = replace(ALICE, status=AccountStatus.INACTIVE)
    assert (await desk.refusal()).temporary
    assert (await desk.refusal(password=Secret("wrong"))).text == "Invalid user name or password."


async def test_the_log_names_known_users_and_never_what_was_typed_for_others(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await desk.login(password=Secret("hunter2"))
    await desk.login("hunter2", Secret("alice"))
    await desk.login("hunter2", Secret("alice2"))
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == (
        "login refused service=imap peer=192.0.2.1:40000 user=alice@xn--bcher-kva.example "
        "method=PLAIN reason=wrong password"
    )
    assert "user=unknown:" in lines[1]
    assert lines[1] == lines[2]
    assert "hunter2" not in "".join(lines)


async def test_a_surrogate_in_a_name_or_password_is_only_wrong(desk: Desk) -> None:
    assert isinstance(await desk.login("\ud800"), Refusal)
    assert isinstance(await desk.login(password=Secret("\ud800")), Refusal)


async def test_a_directory_that_is_away_is_no_wrong_password(
    make_desk: MakeDesk, caplog: pytest.LogCaptureFixture
) -> None:
    desk = make_desk(user_limit=1)
    desk.directory.failure = DirectoryUnavailableError("no server answers")
    for name in ("alice", "nobody"):
        for _ in range(3):
            refusal = await desk.refusal(name)
            assert (refusal.temporary, refusal.reason) == (True, "directory unavailable")
    assert "reason=directory unavailable: no server answers" in caplog.text
    desk.directory.failure = None
    assert isinstance(await desk.login(), Identity)


async def test_a_directory_that_leaves_during_the_check_is_no_failed_attempt(
    make_desk: MakeDesk,
) -> None:
    desk = make_desk(user_limit=1)
    desk.directory.verdict = DirectoryUnavailableError("gone")
    for name in ("alice", "nobody", "alice"):
        refusal = await desk.refusal(name)
        assert refusal.temporary
        assert refusal.text == "Temporarily unavailable; try again later."
    desk.directory.verdict = True
    assert isinstance(await desk.login(), Identity)


async def test_where_the_directory_judges_passwords_its_word_counts(desk: Desk) -> None:
    desk.directory.verdict = True
    assert isinstance(await desk.login(password=Secret("theirs")), Identity)
    assert (await desk.refusal("nobody")).text == "Invalid user name or password."
    desk.directory.verdict = False
    assert (await desk.refusal()).text == "Invalid user name or password."
    assert desk.directory.asked_of == [ALICE, None, ALICE]
    assert desk.checker.asked == 0


# Certificates.


async def test_a_certificate_logs_in_whom_it_maps_to_without_a_password(desk: Desk) -> None:
    desk.mapper.entry = ALICE
    identity = await desk.offer(EXTERNAL, method="EXTERNAL", certificate=CERTIFICATE)
    assert isinstance(identity, Identity)
    assert (identity.user, identity.method, identity.by_certificate) == (
        ALICE.user, "EXTERNAL", True,
    )  # fmt: skip
    assert desk.slept == []


@pytest.mark.parametrize("certificate", [None, CERTIFICATE])
async def test_no_certificate_and_one_that_maps_to_nobody_are_refused_alike(
    desk: Desk, certificate: ClientCertificate | None
) -> None:
    refusal = await desk.offer(EXTERNAL, method="EXTERNAL", certificate=certificate)
    assert isinstance(refusal, Refusal)
    assert (refusal.text, refusal.temporary) == ("Your certificate does not log you in.", False)
    assert desk.slept[0] >= FAILURE_TIME


async def test_failed_certificates_slow_an_address_down_and_lock_nobody(
    make_desk: MakeDesk,
) -> None:
    desk = make_desk(address_limit=5, user_limit=2)
    for _ in range(8):
        await desk.offer(EXTERNAL, certificate=CERTIFICATE)
    assert desk.slept[5] > desk.slept[0]
    assert (await desk.refusal()).reason == "throttled"
    assert isinstance(await desk.login(address="198.51.100.1"), Identity)
    # A certificate cannot be guessed: who has one is not kept out by others at the same address.
    desk.mapper.entry = BOB
    assert isinstance(await desk.offer(EXTERNAL, certificate=CERTIFICATE), Identity)


@pytest.mark.parametrize(
    ("status", "temporary"),
    [(AccountStatus.INACTIVE, True), (AccountStatus.HOLD, False), (AccountStatus.DELETED, False)],
)
async def test_the_certificate_of_a_disabled_user_is_refused(
    desk: Desk, status: AccountStatus, temporary: bool
) -> None:
    desk.mapper.entry = replace(ALICE, status=status)
    refusal = await desk.offer(EXTERNAL, certificate=CERTIFICATE)
    assert isinstance(refusal, Refusal)
    assert refusal.temporary is temporary
    holder = await desk.authenticator.certificate_holder(desk.client(certificate=CERTIFICATE))
    assert isinstance(holder, Refusal)


async def test_the_password_of_another_user_than_the_certificates_is_refused(
    desk: Desk, make_desk: MakeDesk
) -> None:
    desk.mapper.entry = BOB
    right = PasswordCredentials("", "alice", RIGHT)
    refusal = await desk.offer(right, certificate=CERTIFICATE)
    assert isinstance(refusal, Refusal)
    assert (refusal.text, refusal.temporary) == ("Invalid user name or password.", False)
    allowed = make_desk(rules={"imap": LoginRules(other_user=True)})
    allowed.mapper.entry = BOB
    identity = await allowed.offer(right, certificate=CERTIFICATE)
    assert isinstance(identity, Identity)
    assert (identity.user, identity.by_certificate) == (ALICE.user, False)


@pytest.mark.parametrize(
    "certificate", [CERTIFICATE, ClientCertificate(b"x", fault=CertificateFault.UNTRUSTED)]
)
async def test_beside_a_certificate_that_means_nothing_passwords_go_on_as_ever(
    desk: Desk, certificate: ClientCertificate
) -> None:
    right = PasswordCredentials("", "alice", RIGHT)
    assert isinstance(await desk.offer(right, certificate=certificate), Identity)


async def test_any_password_is_taken_from_the_certificates_user_alone(
    make_desk: MakeDesk,
) -> None:
    desk = make_desk(rules={"imap": LoginRules(any_password=True)})
    desk.mapper.entry = ALICE
    whatever = PasswordCredentials("", "Alice", Secret("whatever"))
    identity = await desk.offer(whatever, certificate=CERTIFICATE)
    assert isinstance(identity, Identity)
    assert (identity.method, identity.by_certificate) == ("PLAIN", True)
    assert isinstance(await desk.offer(whatever), Refusal)
    other = PasswordCredentials("", "admin", Secret("whatever"))
    assert isinstance(await desk.offer(other, certificate=CERTIFICATE), Refusal)
    desk.directory.entry = desk.mapper.entry = replace(ALICE, status=AccountStatus.HOLD)
    assert isinstance(await desk.offer(whatever, certificate=CERTIFICATE), Refusal)


async def test_any_password_is_not_taken_unless_the_operator_says_so(desk: Desk) -> None:
    desk.mapper.entry = ALICE
    whatever = PasswordCredentials("", "alice", Secret("whatever"))
    assert isinstance(await desk.offer(whatever, certificate=CERTIFICATE), Refusal)


@pytest.mark.parametrize(
    "credentials",
    [
        PasswordCredentials("", "alice", RIGHT),
        ScramCredentials("", "alice", proven=True),
        BearerCredentials("", Secret("alice's")),
    ],
)
async def test_where_certificates_are_the_only_door_nothing_else_opens(
    make_desk: MakeDesk, credentials: Credentials
) -> None:
    desk = make_desk(rules={"imap": LoginRules(password_login=False)})
    value = make_value(RIGHT, 4096)
    desk.directory.entry = replace(ALICE, password_values=(*ALICE.password_values, value))
    assert isinstance(await desk.offer(credentials), Refusal)
    desk.mapper.entry = ALICE
    assert isinstance(await desk.offer(credentials, certificate=CERTIFICATE), Refusal)
    assert isinstance(await desk.offer(EXTERNAL, certificate=CERTIFICATE), Identity)


@pytest.mark.parametrize(
    "credentials",
    [EXTERNAL, PasswordCredentials("", "alice", RIGHT), BearerCredentials("", Secret("alice's"))],
)
async def test_a_mapping_that_cannot_be_made_now_is_a_temporary_refusal(
    desk: Desk, credentials: Credentials
) -> None:
    desk.mapper.failure = DirectoryUnavailableError("no answer")
    refusal = await desk.offer(credentials, certificate=CERTIFICATE)
    assert isinstance(refusal, Refusal)
    assert refusal.temporary
    assert desk.slept == []
    holder = await desk.authenticator.certificate_holder(desk.client(certificate=CERTIFICATE))
    assert isinstance(holder, Refusal)
    assert holder.temporary


@pytest.mark.parametrize(
    "guess",
    [
        lambda number: PasswordCredentials("", "alice", Secret(f"wrong {number}")),
        lambda number: ScramCredentials("", "alice", proven=False),
    ],
)
async def test_many_guesses_at_once_beside_a_certificate_that_takes_time_to_map_are_few_checks(
    make_desk: MakeDesk, guess: Callable[[int], Credentials]
) -> None:
    desk = make_desk(user_limit=5)
    desk.mapper.seconds = 0.01
    answers = await asyncio.gather(
        *(desk.offer(guess(number), certificate=CERTIFICATE) for number in range(200))
    )
    throttled = [each for each in answers if isinstance(each, Refusal) and each.temporary]
    assert len(throttled) == 195


# Acting as somebody else.


@pytest.mark.parametrize("name", ["alice", ALICE.user, "ALICE"])
async def test_ones_own_name_is_no_privilege(desk: Desk, name: str) -> None:
    desk.mapper.entry = ALICE
    identity = await desk.offer(CertificateCredentials(name), certificate=CERTIFICATE)
    assert isinstance(identity, Identity)
    assert (identity.user, identity.acting) == (ALICE.user, "")


@pytest.mark.parametrize(
    "credentials",
    [CertificateCredentials("bob"), PasswordCredentials("bob", "admin", RIGHT)],
)
async def test_an_administrator_acts_as_another_and_the_log_names_both(
    desk: Desk, caplog: pytest.LogCaptureFixture, credentials: Credentials
) -> None:
    caplog.set_level(logging.INFO)
    desk.mapper.entry = ADMIN
    identity = await desk.offer(credentials, certificate=CERTIFICATE)
    assert isinstance(identity, Identity)
    assert (identity.user, identity.acting) == (BOB.user, ADMIN.user)
    assert "user=bob@example.test acting=admin@example.test" in caplog.text


@pytest.mark.parametrize("name", ["bob", "nobody"])
async def test_nobody_else_acts_as_others_whether_they_exist_or_not(desk: Desk, name: str) -> None:
    refusal = await desk.offer(PasswordCredentials(name, "alice", RIGHT))
    assert isinstance(refusal, Refusal)
    assert (refusal.text, refusal.authorization) == ("You may not act as this user.", True)
    wrong = await desk.offer(PasswordCredentials(name, "alice", Secret("wrong")))
    assert isinstance(wrong, Refusal)
    assert not wrong.authorization


async def test_an_administrator_acts_neither_as_nobody_nor_as_a_disabled_user(desk: Desk) -> None:
    desk.directory.others[0] = replace(BOB, status=AccountStatus.HOLD)
    for name in ("bob", "nobody"):
        assert isinstance(await desk.offer(PasswordCredentials(name, "admin", RIGHT)), Refusal)


# SCRAM.


async def test_the_verifier_of_a_user_is_the_stored_one(desk: Desk) -> None:
    value = make_value(RIGHT, 5000)
    desk.directory.entry = replace(ALICE, password_values=(*ALICE.password_values, value))
    found = await desk.authenticator.scram_verifier(desk.client(), "alice")
    assert found == parse_value(value)
    proven = ScramCredentials("", "alice", proven=True)
    identity = await desk.offer(proven, method="SCRAM-SHA-256")
    assert isinstance(identity, Identity)
    assert identity.method == "SCRAM-SHA-256"
    assert isinstance(await desk.offer(replace(proven, proven=False)), Refusal)


async def test_unknown_users_and_those_without_a_verifier_get_one_that_stays(desk: Desk) -> None:
    names = ["nobody", "NOBODY", "nobody@example.test", "alice", ALICE.user]
    found = [await desk.authenticator.scram_verifier(desk.client(), name) for name in names]
    assert found[0] == found[1] == found[2]
    assert found[3] == found[4]
    assert found[0] != found[3]
    assert all(isinstance(each, ScramVerifier) for each in found)
    for name in names:
        # Even if somebody could prove it: there is no verifier behind it.
        refusal = await desk.offer(ScramCredentials("", name, proven=True))
        assert isinstance(refusal, Refusal)
        assert (refusal.text, refusal.temporary) == ("Invalid user name or password.", False)
    assert all(seconds >= FAILURE_TIME for seconds in desk.slept)


@pytest.mark.parametrize(
    ("name", "another"),
    [
        ("nobody@bücher.example", "nobody@xn--bcher-kva.example"),
        ('"nobody"@example.test', "NoBody@EXAMPLE.test"),
        ("ju\u0308rgen", "J\u00dcRGEN@example.test"),
        ("no body", "NO BODY@example.test"),
    ],
)
async def test_spellings_of_an_unknown_name_get_one_verifier_as_those_of_a_user_do(
    desk: Desk, name: str, another: str
) -> None:
    found = [
        await desk.authenticator.scram_verifier(desk.client(), each) for each in (name, another)
    ]
    assert found[0] == found[1]


async def test_scram_guesses_are_throttled_as_passwords_are(make_desk: MakeDesk) -> None:
    desk = make_desk(user_limit=3)
    for _ in range(3):
        await desk.offer(ScramCredentials("", "alice", proven=False))
    refusal = await desk.authenticator.scram_verifier(desk.client(), "alice")
    assert isinstance(refusal, Refusal)
    assert refusal.temporary
    last = await desk.offer(ScramCredentials("", "alice", proven=True))
    assert isinstance(last, Refusal)
    assert last.reason == "throttled"


async def test_a_directory_that_is_away_supplies_no_verifier(desk: Desk) -> None:
    desk.directory.failure = DirectoryUnavailableError("no answer")
    refusal = await desk.authenticator.scram_verifier(desk.client(), "alice")
    assert isinstance(refusal, Refusal)
    assert refusal.temporary


# Tokens.


async def test_a_token_logs_in_its_user(desk: Desk) -> None:
    identity = await desk.offer(BearerCredentials("", Secret("alice's")), method="OAUTHBEARER")
    assert isinstance(identity, Identity)
    assert (identity.user, identity.method) == (ALICE.user, "OAUTHBEARER")
    named = await desk.offer(BearerCredentials("alice", Secret("alice's")), method="XOAUTH2")
    assert isinstance(named, Identity)


@pytest.mark.parametrize("token", ["forged", "stranger's"])
async def test_a_token_that_means_nobody_is_refused_without_a_reason(
    desk: Desk, token: str
) -> None:
    refusal = await desk.offer(BearerCredentials("", Secret(token)))
    assert isinstance(refusal, Refusal)
    assert (refusal.text, refusal.temporary) == ("Invalid access token.", False)
    assert desk.slept[0] >= FAILURE_TIME


async def test_a_token_for_one_user_does_not_log_in_another(desk: Desk) -> None:
    refusal = await desk.offer(BearerCredentials("bob", Secret("alice's")))
    assert isinstance(refusal, Refusal)
    assert refusal.authorization


async def test_while_the_issuers_keys_are_not_known_tokens_are_refused_for_now(
    desk: Desk,
) -> None:
    refusal = await desk.offer(BearerCredentials("", Secret("early")))
    assert isinstance(refusal, Refusal)
    assert refusal.temporary


async def test_a_held_user_is_told_to_come_later_and_a_wrong_password_nothing_of_it(
    desk: Desk,
) -> None:
    wrong = await desk.refusal(password=Secret("wrong"))
    until = datetime.now(UTC) + timedelta(days=1)
    desk.directory.entry = replace(ALICE, held_until=until)
    assert await desk.refusal(password=Secret("wrong")) == wrong
    held = await desk.refusal()
    assert held.temporary
    assert held.reason == "held back"
    desk.directory.entry = replace(ALICE, held_until=until - timedelta(days=2))
    assert isinstance(await desk.login(), Identity)


async def test_nobody_acts_as_a_held_user_either(desk: Desk) -> None:
    desk.directory.entry = replace(ALICE, held_until=datetime.now(UTC) + timedelta(days=1))
    acting = PasswordCredentials("alice", "admin", RIGHT)
    answer = await desk.offer(acting)
    assert isinstance(answer, Refusal)
    assert answer.temporary
