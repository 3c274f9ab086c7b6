import argparse
import io
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from mailfront.authentication.password import verify
from mailfront.authentication.scram_verifier import verifier_among
from mailfront.cli.output import run_command
from mailfront.cli.user import add_parser
from mailfront.directory.entry import Entry
from mailfront.directory.users_file import parse_users
from mailfront.interfaces.secret import Secret

Run = Callable[..., int]
Feed = Callable[[str], None]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "msg.conf").touch()
    return tmp_path


@pytest.fixture
def run(home: Path) -> Run:
    def run(*arguments: str) -> int:
        parser = argparse.ArgumentParser(prog="mailfront")
        add_parser(parser.add_subparsers())

        def command() -> int:
            given = parser.parse_args(["user", arguments[0], "--home", str(home), *arguments[1:]])
            exit_code: int = given.run(given)
            return exit_code

        return run_command(command)

    return run


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Feed:
    def feed(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    return feed


def users(home: Path) -> Mapping[str, Entry]:
    path = home / "config" / "users.ldif"
    return parse_users(path.read_bytes(), path).by_address


def test_a_user_is_added_with_a_password_from_standard_input(
    run: Run, home: Path, stdin: Feed
) -> None:
    stdin("hunter2\n")
    assert run("add", "Alice@example.test", "--password-stdin", "--name", "Alice B",
               "--alternate", "a@example.test") == 0  # fmt: skip
    entry = users(home)["a@example.test"]
    assert (entry.user, entry.name) == ("alice@example.test", "Alice B")
    assert verify(entry.password_values, Secret("hunter2"))
    assert "hunter2" not in (home / "config" / "users.ldif").read_text()


def test_a_generated_password_is_printed_once_on_stdout(
    run: Run, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("add", "alice@example.test", "--generate") == 0
    printed = capsys.readouterr()
    password = printed.out.strip()
    assert verify(users(home)["alice@example.test"].password_values, Secret(password))
    assert password not in printed.err


def test_a_password_comes_from_a_private_file(
    run: Run, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("from file\n")
    secret.chmod(0o644)
    assert run("add", "alice@example.test", "--password-file", str(secret)) == 1
    assert "chmod 600" in capsys.readouterr().err
    secret.chmod(0o600)
    assert run("add", "alice@example.test", "--password-file", str(secret)) == 0
    assert verify(users(home)["alice@example.test"].password_values, Secret("from file"))


def test_what_is_wrong_with_the_address_is_told_before_a_password_is_read(
    run: Run, stdin: Feed, capsys: pytest.CaptureFixture[str]
) -> None:
    stdin("hunter2\n")
    assert run("add", "alice", "--password-stdin") == 1
    assert "write user@domain" in capsys.readouterr().err
    assert run("add", "alice@example.test", "--password-stdin") == 0
    assert run("add", "ALICE@example.test", "--password-stdin") == 1
    assert "exists already" in capsys.readouterr().err


def test_two_sources_of_a_password_are_a_usage_error(run: Run, stdin: Feed) -> None:
    stdin("x\n")
    assert run("add", "alice@example.test", "--generate", "--password-stdin") == 2
    assert run("add", "alice@example.test", "--password-file", "x", "--password-stdin") == 2
    assert run("add") == 2


def test_a_password_is_changed(
    run: Run, home: Path, stdin: Feed, capsys: pytest.CaptureFixture[str]
) -> None:
    run("add", "alice@example.test", "--generate")
    stdin("new one\n")
    assert run("passwd", "alice@example.test", "--password-stdin") == 0
    assert verify(users(home)["alice@example.test"].password_values, Secret("new one"))
    assert run("passwd", "alcie@example.test", "--generate") == 1
    assert "did you mean alice@example.test?" in capsys.readouterr().err


def test_removing_asks_on_a_terminal_only_and_keeps_the_mail(
    run: Run, home: Path, stdin: Feed, capsys: pytest.CaptureFixture[str]
) -> None:
    run("add", "alice@example.test", "--generate")
    stdin("y\n")
    assert run("remove", "alice@example.test") == 1
    assert "--yes" in capsys.readouterr().err
    assert run("remove", "alice@example.test", "--yes") == 0
    assert "their mail stays on disk" in capsys.readouterr().err
    assert users(home) == {}
    assert run("remove", "alice@example.test", "--yes") == 1


def test_an_answer_other_than_yes_changes_nothing(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("add", "alice@example.test", "--generate")

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal("\n"))
    assert run("remove", "alice@example.test") == 1
    assert "alice@example.test" in users(home)
    monkeypatch.setattr(sys, "stdin", Terminal("Y\n"))
    assert run("remove", "alice@example.test") == 0


def test_users_are_listed_without_their_hashes(
    run: Run, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("add", "bob@example.test", "--generate", "--alternate", "rob@bücher.example")
    run("add", "alice@example.test", "--generate")
    with (home / "config" / "users.ldif").open("a") as stream:
        stream.write("\ndn: c\nmail: carol@example.test\nuserPassword: letmein\n")
    capsys.readouterr()
    assert run("list", "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert [user["address"].partition("@")[0] for user in listed] == ["alice", "bob", "carol"]
    assert listed[1]["alternate"] == ["rob@bücher.example"]
    assert [user["password"][:10] for user in listed] == ["set", "set", "a password"]
    assert run("list") == 0
    table = capsys.readouterr().out
    assert "bob@example.test" in table
    assert "argon2" not in table
    assert "letmein" not in table


def test_where_users_are_in_ldap_the_file_is_said_to_be_of_no_use(
    run: Run, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "config" / "msg.conf").write_text("local.ugldaphost = localhost\n")
    assert run("add", "alice@example.test", "--generate") == 0
    warning = capsys.readouterr().err.splitlines()[0]
    assert warning.startswith("warning: users are in LDAP (local.ugldaphost)")


def test_a_directory_that_is_no_server_root_is_refused(
    home: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "config" / "msg.conf").unlink()
    assert run("list") == 1
    assert "is not a server root" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("mechanisms", "choice", "stored"),
    [
        ("", (), False),
        ("", ("--scram",), True),
        ("PLAIN SCRAM-SHA-256", (), True),
        ("PLAIN SCRAM-SHA-256", ("--no-scram",), False),
    ],
)
def test_a_scram_verifier_is_stored_where_scram_is_offered_or_asked_for(
    run: Run, home: Path, capsys: pytest.CaptureFixture[str],
    mechanisms: str, choice: tuple[str, ...], stored: bool,
) -> None:  # fmt: skip
    (home / "config" / "msg.conf").write_text(
        f"sasl.default.mech_list = {mechanisms}\nsasl.default.scram_iterations = 4096\n"
    )
    for command in ("add", "passwd"):
        capsys.readouterr()
        assert run(command, "bob@example.test", "--generate", *choice) == 0
        password = Secret(capsys.readouterr().out.strip())
        values = users(home)["bob@example.test"].password_values
        assert len(values) == 1 + stored
        assert all(verify([value], password) for value in values)
        assert (verifier_among(values) is not None) is stored
    run("list", "--json")
    assert json.loads(capsys.readouterr().out)[0]["scram"] is stored
