"""One factory makes the sessions of a port."""

from __future__ import annotations

from collections import Counter

from mailfront.front.smtp import Role, SmtpFront, SmtpSettings
from mailfront.front.smtp.submission import SubmissionReception
from tests.support.smtp_session import Sink, Users


async def test_sessions_share_the_policy_and_nothing_else() -> None:
    counters: Counter[str] = Counter()
    front = SmtpFront(
        Role.SUBMISSION, SmtpSettings("mx.example.test"), Users(), Sink(), counters.update
    )
    first, second = front(), front()
    assert first is not second
    assert first.reception is second.reception
    assert isinstance(first.reception, SubmissionReception)


async def test_the_role_decides_the_policy() -> None:
    front = SmtpFront(Role.MX, SmtpSettings("mx.example.test"), Users(), Sink(), lambda name: None)
    assert not isinstance(front().reception, SubmissionReception)
