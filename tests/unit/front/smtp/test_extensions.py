"""STARTTLS and AUTH: when they are offered, what they forget, what they refuse."""

from __future__ import annotations

import base64
import logging
from dataclasses import replace

import pytest

from mailfront.front.login_policy import LoginPolicy
from mailfront.front.smtp import Role, SmtpSettings
from mailfront.front.smtp.extensions import ehlo_response
from mailfront.interfaces.mail_relay import RelayOffer
from mailfront.interfaces.peer import TlsFacts
from tests.support.smtp_session import ALICE, BOB, PASSWORD, TLS, SmtpConversation, code_of

SETTINGS = SmtpSettings("mx.example.test")
MAIL = f"MAIL FROM:<{ALICE}>"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


PLAIN = encoded(f"\0{ALICE}\0{PASSWORD}")
WEAK = replace(TLS, suite="TLS_AES_128_GCM_SHA256", bits=128)
WRONG = encoded(f"\0{ALICE}\0wrong")


async def submission(**more: object) -> SmtpConversation:
    return await SmtpConversation(Role.SUBMISSION, tls=TLS, **more).greeted()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("role", "tls", "minimum", "starttls", "auth"),
    [
        (Role.MX, None, 128, True, False), (Role.MX, TLS, 128, False, False),
        (Role.MX, None, 0, True, False), (Role.MX, TLS, 0, False, False),
        (Role.SUBMISSION, None, 128, True, False), (Role.SUBMISSION, TLS, 128, False, True),
        (Role.SUBMISSION, None, 0, True, True), (Role.SUBMISSION, TLS, 0, False, True),
        (Role.SUBMISSION, None, -1, True, False), (Role.SUBMISSION, TLS, -1, False, False),
        (Role.SUBMISSION, WEAK, 128, False, True), (Role.SUBMISSION, WEAK, 129, False, False),
    ],
)  # fmt: skip
async def test_what_is_offered_depends_on_role_and_cipher(
    role: Role, tls: TlsFacts | None, minimum: int, starttls: bool, auth: bool
) -> None:
    settings = replace(SETTINGS, login=LoginPolicy(minimum))
    client = SmtpConversation(role, settings, tls)
    await client.replies()
    answer = "\n".join(await client.say("EHLO client.example"))
    assert ("STARTTLS" in answer, "AUTH PLAIN LOGIN" in answer) == (starttls, auth)
    taken = await client.say(f"AUTH PLAIN {PLAIN}")
    assert code_of(taken).startswith("235") is auth


@pytest.mark.parametrize(
    ("tls", "minimum", "refusal", "mail"),
    [
        (None, 128, "538 5.7.11", "530 5.7.0 Send STARTTLS first"),
        (None, -1, "504 5.5.4", "530 5.7.0 Send STARTTLS first"),
        (None, 0, "", "530 5.7.0 Authentication required"),
        (TLS, -1, "504 5.5.4", "530 5.7.0 Authentication required"),
        (WEAK, 256, "534 5.7.9", "530 5.7.0 Authentication required"),
    ],
)
async def test_a_password_under_too_weak_a_cipher_is_refused(
    tls: TlsFacts | None, minimum: int, refusal: str, mail: str
) -> None:
    settings = replace(SETTINGS, login=LoginPolicy(minimum))
    client = await SmtpConversation(Role.SUBMISSION, settings, tls).greeted()
    assert await client.say("MAIL FROM:<alice@example.test>") == [mail]
    if refusal:
        assert code_of(await client.say(f"AUTH PLAIN {PLAIN}")) == refusal
        assert client.users.attempts == []


def test_starttls_is_not_offered_where_there_is_no_tls() -> None:
    without = SmtpSettings("mx.example.test", tls_available=False)
    assert b"STARTTLS" not in ehlo_response(without, tls=False, mechanisms=())


async def test_starttls_upgrades_and_forgets_everything() -> None:
    client = await SmtpConversation().greeted()
    await client.say("MAIL FROM:<a@b.example>", f"RCPT TO:<{BOB}>")
    assert code_of(await client.say("STARTTLS")) == "220 2.0.0"
    await client.handshake()
    assert code_of(await client.say("MAIL FROM:<a@b.example>")) == "503 5.5.1"
    replies = await client.say("EHLO client.example")
    assert "250-STARTTLS" not in replies
    assert code_of(await client.say("DATA")) == "503 5.5.1"
    assert code_of(await client.say("STARTTLS")) == "503 5.5.1"


@pytest.mark.parametrize(
    "injected", [b"RSET\r\n", b"x", b"\r\n", b"EHLO x\r\nMAIL FROM:<a@b.test>\r\n"]
)
async def test_octets_behind_starttls_end_the_session_unexecuted(
    injected: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    client = await SmtpConversation().greeted()
    assert code_of(await client.send(b"STARTTLS\r\n" + injected)) == "554 5.5.1"
    assert client.closed
    assert client.transport.handshake is None
    assert client.counters["smtp.starttls_injection"] == 1
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert "192.0.2.7" in record.getMessage()


async def test_starttls_takes_no_argument() -> None:
    client = await SmtpConversation().greeted()
    assert code_of(await client.say("STARTTLS now")) == "501 5.5.4"


async def test_a_handshake_that_fails_ends_the_session() -> None:
    client = await SmtpConversation().greeted()
    await client.say("STARTTLS")
    await client.finish()
    assert client.counters["smtp.internal_errors"] == 0


async def test_submission_demands_tls_before_login_and_login_before_mail() -> None:
    client = await SmtpConversation(Role.SUBMISSION).greeted()
    assert code_of(await client.say(MAIL)) == "530 5.7.0"
    assert code_of(await client.say(f"AUTH PLAIN {PLAIN}")) == "538 5.7.11"
    assert client.users.attempts == []
    await client.say("STARTTLS")
    await client.handshake()
    await client.say("EHLO client.example")
    assert code_of(await client.say(MAIL)) == "530 5.7.0"
    assert code_of(await client.say(f"AUTH PLAIN {PLAIN}")) == "235 2.7.0"
    assert code_of(await client.say(MAIL)) == "250 2.1.0"


async def test_plain_with_an_initial_response() -> None:
    client = await submission()
    assert code_of(await client.say(f"AUTH plain {PLAIN}")) == "235 2.7.0"
    assert client.users.attempts == [("imta", ALICE, "PLAIN")]
    record = client.transport.record
    assert (record.user, record.method) == (ALICE, "PLAIN")


async def test_plain_with_a_challenge() -> None:
    client = await submission()
    assert await client.say("AUTH PLAIN") == ["334 "]
    assert code_of(await client.say(PLAIN)) == "235 2.7.0"


async def test_login_asks_for_name_and_password() -> None:
    client = await submission()
    assert await client.say("AUTH LOGIN") == [f"334 {encoded('Username:')}"]
    assert await client.say(encoded(ALICE)) == [f"334 {encoded('Password:')}"]
    assert code_of(await client.say(encoded(PASSWORD))) == "235 2.7.0"


@pytest.mark.parametrize(
    ("lines", "codes"),
    [
        (["AUTH"], "501 5.5.4"), (["AUTH CRAM-MD5"], "504 5.5.4"),
        (["AUTH PLAIN !!!"], "501 5.5.2"), (["AUTH PLAIN ="], "501 5.5.2"),
        ([f"AUTH PLAIN {encoded('no separators')}"], "501 5.5.2"),
        ([f"AUTH PLAIN {encoded(f'bob{chr(0)}{ALICE}{chr(0)}x')}"], "535 5.7.8"),
        (["AUTH PLAIN", "*"], "501 5.7.0"), (["AUTH LOGIN", "*"], "501 5.7.0"),
        (["AUTH PLAIN", "x" * 13000], "500 5.5.6"), (["AUTH PLAIN " + "x" * 13000], "500 5.5.2"),
        ([f"AUTH PLAIN {WRONG}"], "535 5.7.8"),
    ],
)  # fmt: skip
async def test_what_is_no_login_has_its_reply(lines: list[str], codes: str) -> None:
    client = await submission()
    for line in lines[:-1]:
        assert (await client.say(line))[0].startswith("334")
    assert code_of(await client.say(lines[-1])) == codes
    assert code_of(await client.say("NOOP")) == "250 2.0.0"


async def test_a_long_but_allowed_response_is_read() -> None:
    client = await submission()
    response = encoded(f"\0{ALICE}\0" + "x" * 9000)
    assert code_of(await client.say(f"AUTH PLAIN {response}")) == "535 5.7.8"


async def test_a_directory_that_is_away_is_a_temporary_failure() -> None:
    client = await submission()
    client.users.temporary = True
    assert code_of(await client.say(f"AUTH PLAIN {PLAIN}")) == "454 4.7.0"


async def test_three_failed_logins_end_the_session() -> None:
    client = await submission()
    await client.say(f"AUTH PLAIN {WRONG}")
    await client.say(f"AUTH PLAIN {WRONG}")
    replies = await client.say(f"AUTH PLAIN {WRONG}")
    assert [reply[:9] for reply in replies] == ["535 5.7.8", "421 4.7.0"]
    assert client.closed
    assert client.counters["submit.logins_refused"] == 3


async def test_one_login_is_enough_and_none_in_a_transaction() -> None:
    client = await submission()
    await client.say(f"AUTH PLAIN {PLAIN}")
    assert code_of(await client.say(f"AUTH PLAIN {PLAIN}")) == "503 5.5.1"


async def test_no_password_is_logged_at_any_level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client = await submission()
    await client.say("AUTH LOGIN", encoded(ALICE), encoded("wrong-" + PASSWORD))
    await client.say(f"AUTH PLAIN {PLAIN}")
    await client.say(PLAIN, encoded(PASSWORD))
    for secret in (PASSWORD, PLAIN, encoded(PASSWORD)):
        assert secret not in caplog.text


@pytest.mark.parametrize(("behind", "told"), [(0, 1), (5, 5), (None, 1000)])
def test_ehlo_never_tells_a_size_of_0_which_would_be_no_limit(
    behind: int | None, told: int
) -> None:
    settings = SmtpSettings(hostname="front.example.test", size_limit=1000)
    offer = RelayOffer(size_limit=behind)
    assert b"SIZE %d\r\n" % told in ehlo_response(settings, tls=False, mechanisms=(), offer=offer)
