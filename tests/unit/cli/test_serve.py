"""`mailfront serve` as a command; the server itself runs in tests/integration."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailfront.cli.main import main
from mailfront.configuration.home import ServerRoot


def test_the_help_tells_signals_and_readiness(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--help"]) == 0
    text = capsys.readouterr().out
    for word in ("mailfront ready", "Type=notify", "SIGTERM", "SIGHUP"):
        assert word in text


def test_the_server_is_run_on_the_server_root_that_was_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[ServerRoot] = []
    monkeypatch.setattr("mailfront.server.process.serve", served.append)
    assert main(["serve", "--home", str(tmp_path)]) == 0
    assert served == [ServerRoot(tmp_path)]


def test_a_mistake_in_the_options_is_told_and_nothing_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config").mkdir()
    path = tmp_path / "config" / "msg.conf"
    path.write_text("service.imap.prot = 143\n")
    assert main(["serve", "--home", str(tmp_path)]) == 1
    printed = capsys.readouterr()
    assert f"{path}:1: " in printed.err
    assert "service.imap.port" in printed.err
    assert "ready" not in printed.out
