"""`mailfront user hold`, `release` and `kick`, and what `show` and `list` say."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mailfront.cli.main import main
from mailfront.cli.user_moving import FOR_EVER, change_of, moment_of
from mailfront.configuration.default_files import install_default_configuration
from mailfront.configuration.home import ServerRoot
from mailfront.directory.editing import add_entry
from mailfront.directory.users_file import parse_users
from mailfront.errors import OperatorError

ANN = "ann@example.test"
NOW = datetime(2026, 11, 24, 18, 30, 0, 500, tzinfo=UTC)
Run = Callable[..., int]


@pytest.fixture
def root(tmp_path: Path) -> ServerRoot:
    root = ServerRoot(tmp_path / "root")
    install_default_configuration(root)
    add_entry(root.users_ldif, ANN, "{ARGON2}x")
    return root


@pytest.fixture
def run(root: ServerRoot) -> Run:
    def run(command: str, *arguments: str) -> int:
        return main(["user", command, "--home", str(root.path), *arguments])

    return run


def held_until(root: ServerRoot) -> datetime | None:
    return parse_users(root.users_ldif.read_bytes(), root.users_ldif).by_address[ANN].held_until


def test_a_hold_lasts_until_it_is_released(
    run: Run, root: ServerRoot, capsys: pytest.CaptureFixture[str]
) -> None:
    before = root.users_ldif.read_bytes()
    assert run("hold", ANN) == 0
    assert held_until(root) == FOR_EVER
    assert "mailfront user kick ann@example.test" in capsys.readouterr().err
    assert run("show", ANN) == 0
    assert "active, held until released" in capsys.readouterr().out
    assert run("release", ANN) == 0
    assert root.users_ldif.read_bytes() == before
    capsys.readouterr()
    assert run("release", ANN) == 0
    assert "nothing is changed" in capsys.readouterr().err


def test_a_hold_may_end_by_itself_and_be_made_longer(
    run: Run, root: ServerRoot, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("hold", ANN, "--until", "1h") == 0
    first = held_until(root)
    assert first is not None
    assert timedelta(minutes=59) < first - datetime.now(UTC) <= timedelta(hours=1)
    assert run("hold", ANN, "--until", "2100-01-01T12:00+01:00") == 0
    assert held_until(root) == datetime(2100, 1, 1, 11, tzinfo=UTC)
    capsys.readouterr()
    assert run("list", "--json") == 0
    [record] = json.loads(capsys.readouterr().out)
    assert record["held_until"] == "2100-01-01T11:00:00+00:00"
    assert run("list") == 0
    assert "active, held until 2100-01-01 11:00:00 UTC" in capsys.readouterr().out


@pytest.mark.parametrize("until", ["soon", "2020-01-01", "0s", "5w", "", "9999999d"])
def test_what_is_no_time_to_come_changes_nothing(run: Run, root: ServerRoot, until: str) -> None:
    assert run("hold", ANN, "--until", until) != 0
    assert held_until(root) is None


def test_a_stranger_cannot_be_held(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("hold", "carol@example.test") != 0
    assert "there is no user carol@example.test" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90s", datetime(2026, 11, 24, 18, 31, 30, tzinfo=UTC)),
        ("2d", datetime(2026, 11, 26, 18, 30, tzinfo=UTC)),
        ("2026-11-25", datetime(2026, 11, 25, tzinfo=UTC)),
        ("2026-11-25T01:00", datetime(2026, 11, 25, 1, tzinfo=UTC)),
        ("2026-11-25 01:00:05-02:00", datetime(2026, 11, 25, 3, 0, 5, tzinfo=UTC)),
    ],
)
def test_a_time_is_a_span_or_a_moment(text: str, moment: datetime) -> None:
    assert moment_of(text, NOW) == moment


def test_a_moment_out_of_range_is_told() -> None:
    with pytest.raises(OperatorError, match="is no time"):
        moment_of("9999-12-31T23:59-10:00", NOW)


def test_for_ldap_the_change_is_a_record_for_ldapmodify(root: ServerRoot) -> None:
    entry = parse_users(root.users_ldif.read_bytes(), root.users_ldif).by_address[ANN]
    head = b"dn: uid=ann,ou=People,dc=example,dc=test\nchangetype: modify\n"
    head += b"replace: mailFrontDelayUntil\n"
    assert change_of(entry, None) == head + b"-\n"
    value = b"mailFrontDelayUntil: 20261124183000Z\n"
    assert change_of(entry, NOW) == head + value + b"-\n"


def test_without_a_server_nobody_is_kicked(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("kick", ANN) != 0
    assert "no server is running" in capsys.readouterr().err
