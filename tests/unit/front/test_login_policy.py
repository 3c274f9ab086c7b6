"""Which mechanisms are offered: every connection against every setting."""

from __future__ import annotations

import itertools

import pytest

from mailfront.front.login_channel import CLEAR, LoginChannel
from mailfront.front.login_policy import LoginPolicy
from mailfront.protocol import sasl

ALL = sasl.MECHANISMS
TLS = LoginChannel(256)
BOUND = LoginChannel(256, channel_binding=lambda kind: b"x")
CERTIFIED = LoginChannel(256, certificate=True)


@pytest.mark.parametrize(
    ("policy", "channel", "offered"),
    [
        (LoginPolicy(), CLEAR, ""),
        (LoginPolicy(), TLS, "PLAIN LOGIN"),
        (LoginPolicy(), LoginChannel(127), ""),
        (LoginPolicy(), CERTIFIED, "EXTERNAL PLAIN LOGIN"),
        (LoginPolicy(0), CLEAR, "PLAIN LOGIN"),
        (LoginPolicy(mechanisms=ALL), TLS, "SCRAM-SHA-256 OAUTHBEARER XOAUTH2 PLAIN LOGIN"),
        (LoginPolicy(mechanisms=ALL), BOUND, " ".join(ALL[1:])),
        (LoginPolicy(mechanisms=ALL), CLEAR, ""),
        # Who takes passwords in clear takes SCRAM too, but never a token.
        (LoginPolicy(0, mechanisms=ALL), CLEAR, "SCRAM-SHA-256 PLAIN LOGIN"),
        # Never a password as such: SCRAM and tokens do not show one.
        (LoginPolicy(-1, mechanisms=ALL), TLS, "SCRAM-SHA-256 OAUTHBEARER XOAUTH2"),
        (LoginPolicy(password_login=False, mechanisms=ALL), BOUND, ""),
        (LoginPolicy(password_login=False, mechanisms=ALL), CERTIFIED, "EXTERNAL"),
        (
            LoginPolicy(password_login=False, any_password=True, mechanisms=ALL),
            CERTIFIED,
            "EXTERNAL PLAIN LOGIN",
        ),
        (LoginPolicy(password_login=False, any_password=True, mechanisms=ALL), TLS, ""),
        (LoginPolicy(mechanisms=("PLAIN",)), CERTIFIED, "PLAIN"),
    ],
)
def test_what_is_offered(policy: LoginPolicy, channel: LoginChannel, offered: str) -> None:
    assert " ".join(policy.offered(channel)) == offered


def test_nothing_is_offered_that_the_operator_did_not_name() -> None:
    for size in range(len(ALL)):
        for named in itertools.combinations(ALL, size):
            offered = LoginPolicy(mechanisms=named).offered(LoginChannel(256, True, lambda _: b""))
            assert offered == named


def test_whether_passwords_are_ever_taken_is_for_the_words_of_a_refusal() -> None:
    assert LoginPolicy().takes_passwords_ever()
    assert not LoginPolicy(-1).takes_passwords_ever()
    assert not LoginPolicy(password_login=False).takes_passwords_ever()
    assert LoginPolicy(password_login=False, any_password=True).takes_passwords_ever()
