"""The command table."""

from __future__ import annotations

from mailfront.front.smtp.message_session import MessageSession
from mailfront.front.smtp.session import SmtpSession
from mailfront.protocol.smtp.commands import AUTH_LINE_LIMIT, COMMANDS, EXTENDED_LINE_LIMIT


def test_every_command_has_its_method() -> None:
    own = {**vars(MessageSession), **vars(SmtpSession)}
    assert all(f"smtp_{name}" in own for name in COMMANDS if not COMMANDS[name].octets_follow)


def test_no_command_of_the_library_slips_through() -> None:
    methods = {name.removeprefix("smtp_") for name in dir(SmtpSession) if name.startswith("smtp_")}
    assert methods | {"BDAT"} == set(COMMANDS)


def test_only_commands_with_extensions_have_longer_lines() -> None:
    longer = {name: limit.line_limit for name, limit in COMMANDS.items() if limit.line_limit > 512}
    assert longer == {
        "AUTH": AUTH_LINE_LIMIT, "MAIL": EXTENDED_LINE_LIMIT, "RCPT": EXTENDED_LINE_LIMIT,
    }  # fmt: skip


def test_mail_is_never_taken_before_hello_and_login() -> None:
    for name in ("MAIL", "RCPT", "DATA", "BDAT"):
        assert COMMANDS[name].after_hello
        assert COMMANDS[name].after_login
