"""`mailfront status` and `mailfront reload`."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mailfront.cli import control
from mailfront.cli.main import main
from mailfront.interfaces.status import CertificateStatus, PortStatus, QueueStatus, ServerStatus

NOW = datetime.now(UTC)
FINGERPRINT = ":".join(["AB"] * 32)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "msg.conf").touch()
    return tmp_path


def status(*problems: str) -> ServerStatus:
    def port(name: str, tls: str, days: float | None) -> PortStatus:
        if days is None:
            return PortStatus("http", name, "*", 80, tls, "", "", None, 0)
        expires = NOW + timedelta(days=days)
        return PortStatus("imap", name, "::1", 993, tls, "imap-cert", FINGERPRINT, expires, 3)

    ports = (
        port("http", "none", None), port("imaps", "implicit", 30.5), port("imap", "starttls", -1),
    )  # fmt: skip
    return ServerStatus("1.0", 42, NOW, "uvloop", ports, problems)


def answering(monkeypatch: pytest.MonkeyPatch, answer: dict[str, object]) -> None:
    monkeypatch.setattr(control, "ask_server", lambda path, request: answer)


def test_the_status_is_a_table_of_ports(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answering(monkeypatch, status().as_json())
    assert main(["status", "--home", str(home)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [
        "Service", "Address", "TLS", "Nickname", "Expires", "SHA-256", "Connections",
    ]  # fmt: skip
    assert lines[2].split() == ["http", "*:80", "none", "-", "-", "-", "0"]
    assert lines[3].split()[:4] == ["imaps", "::1:993", "implicit", "imap-cert"]
    assert "(30 days)  AB:AB:AB:AB  3" in lines[3]
    assert "EXPIRED" in lines[4]
    assert lines[-1].startswith("mailfront 1.0, process 42, uvloop, since ")


@pytest.mark.parametrize(
    ("unreachable", "end"),
    [
        ((), "1 held"),
        (
            ("tcp_local a.test", "tcp_local b.test"),
            "unreachable: tcp_local a.test, tcp_local b.test",
        ),
        (tuple("abcdefg"), "unreachable: a, b, c, d, e and 2 more"),
    ],
)
def test_the_queue_has_a_line(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    unreachable: tuple[str, ...],
    end: str,
) -> None:
    told = replace(status(), queue=QueueStatus(7, 9, 1, unreachable))
    answering(monkeypatch, told.as_json())
    assert main(["status", "--home", str(home)]) == 0
    [line] = [each for each in capsys.readouterr().out.splitlines() if each.startswith("queue:")]
    assert line.startswith("queue: 7 messages, 9 recipients wait, 1 held")
    assert line.endswith(end)


def test_stapled_responses_have_a_line_each(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    until = datetime(2030, 1, 2, 3, 4, tzinfo=UTC)
    certificates = tuple(
        CertificateStatus(nickname, ("imap",), "AB", NOW, 3, False, stapled, problem)
        for nickname, stapled, problem in (
            ("a", until, ""), ("b", None, "no answer"), ("c", until, "no answer"), ("d", None, ""),
        )
    )  # fmt: skip
    answering(monkeypatch, replace(status(), certificates=certificates).as_json())
    assert main(["status", "--home", str(home)]) == 0
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("OCSP")]
    assert told == [
        "OCSP response stapled to a: until 2030-01-02 03:04 UTC",
        "OCSP response stapled to b: none (no answer)",
        "OCSP response stapled to c: until 2030-01-02 03:04 UTC (no answer)",
    ]


def test_a_problem_of_the_server_is_told_and_fails_where_that_was_asked_for(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answering(monkeypatch, status("imap: no such nickname").as_json())
    assert main(["status", "--home", str(home)]) == 0
    assert capsys.readouterr().err == "problem: imap: no such nickname\n"
    assert main(["status", "--strict", "--home", str(home)]) == 1


def test_a_warning_is_told_and_is_no_problem(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answering(monkeypatch, replace(status(), warnings=("pop: dangerous",)).as_json())
    assert main(["status", "--strict", "--home", str(home)]) == 0
    assert capsys.readouterr().err == "warning: pop: dangerous\n"


@pytest.mark.parametrize(("problems", "code"), [((), 0), (("x",), 1)])
def test_the_status_in_json_is_the_server_s_own(
    problems: tuple[str, ...],
    code: int,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer = json.loads(json.dumps(status(*problems).as_json()))
    answering(monkeypatch, answer)
    assert main(["status", "--json", "--strict", "--home", str(home)]) == code
    assert json.loads(capsys.readouterr().out) == answer


def test_a_reload_tells_what_could_not_be_taken_over(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answering(monkeypatch, {"problems": []})
    assert main(["reload", "--home", str(home)]) == 0
    answering(monkeypatch, {"problems": ["msg.conf:1: wrong"]})
    assert main(["reload", "--home", str(home)]) == 1
    assert capsys.readouterr().err == "problem: msg.conf:1: wrong\n"


@pytest.mark.parametrize("command", ["status", "reload"])
def test_without_a_server_it_is_told_how_to_start_one(
    command: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--home", str(home)]) == 1
    printed = capsys.readouterr()
    assert "no server is running on this server root: start it: mailfront serve" in printed.err
    assert printed.out == ""
