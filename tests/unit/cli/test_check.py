"""`mailfront check`: problems on stdout, warnings on stderr, and the exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailfront.cli.main import main
from mailfront.server.checking import Findings
from mailfront.server.live_check import LivePort
from tests.support.keystores import root_with_keystore


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "msg.conf").touch()
    return tmp_path


def found(monkeypatch: pytest.MonkeyPatch, *problems: str, warnings: tuple[str, ...] = ()) -> None:
    findings = Findings(list(problems), list(warnings))
    monkeypatch.setattr("mailfront.server.checking.check_server_root", lambda root: findings)


def test_each_problem_is_a_line_on_stdout(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found(monkeypatch, "msg.conf:3: first: mend it", "second", warnings=("expires soon",))
    assert main(["check", "--home", str(home)]) == 1
    printed = capsys.readouterr()
    assert printed.out == "msg.conf:3: first: mend it\nsecond\n"
    assert printed.err == "warning: expires soon\n"


def test_warnings_alone_are_no_failure(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found(monkeypatch, warnings=("expires soon",))
    assert main(["check", "--home", str(home)]) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "warning: expires soon\nno problems found\n"


def test_a_real_problem_names_its_file_and_line(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = home / "config" / "msg.conf"
    path.write_text("\nservice.imap.prot = 143\n")
    assert main(["check", "--home", str(home)]) == 1
    assert f"{path}:2: " in capsys.readouterr().out


def test_live_is_not_asked_while_the_configuration_is_wrong(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found(monkeypatch, "first")
    assert main(["check", "--live", "--home", str(home)]) == 1
    assert capsys.readouterr().out == "first\n"


def test_what_is_wrong_with_a_port_is_a_problem_and_advice_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = root_with_keystore(tmp_path / "root")
    root.msg_conf.touch()
    found(monkeypatch)
    ports = [LivePort("imaps", None, (), ("no TLS 1.3",))]
    monkeypatch.setattr("mailfront.server.live_check.check_live", lambda *_, **__: ports)
    assert main(["check", "--live", "--home", str(root.path)]) == 0
    assert capsys.readouterr().err == "imaps: advice: no TLS 1.3\nno problems found\n"
    ports.append(LivePort("pop3s", None, ("another certificate",)))
    assert main(["check", "--live", "--home", str(root.path)]) == 1
    assert capsys.readouterr().out == "pop3s: another certificate\n"
