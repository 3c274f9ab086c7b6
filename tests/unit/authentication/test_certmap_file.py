from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from mailfront.authentication.certmap_file import CHECK_INTERVAL, CertmapFile, read_certmap
from mailfront.errors import ConfigurationError


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def pass_by(self) -> None:
        self.now += CHECK_INTERVAL


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "certmap.conf"
    path.touch(mode=0o600)
    path.write_text("certmap default default\ndefault:verifycert on\n")
    return path


def verifies(file: CertmapFile) -> bool:
    return file.current().certmap.default.verify_certificate


def test_a_changed_file_is_in_force_after_a_second(path: Path) -> None:
    clock = Clock()
    file = CertmapFile(path, clock=clock)
    path.write_text("certmap default default\ndefault:verifycert off\n")
    assert verifies(file)
    clock.pass_by()
    assert not verifies(file)
    assert file.problem == ""


def test_a_faulty_version_is_told_and_the_old_stays_in_force(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    file = CertmapFile(path, clock=clock)
    path.write_text("certmap default default\ndefault:verifycert maybe\n")
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            clock.pass_by()
            assert verifies(file)
    assert file.problem.startswith(f"{path}:2: verifycert: 'maybe'")
    assert caplog.text.count("stay in force") == 1
    path.write_text("certmap default default\n")
    clock.pass_by()
    assert not verifies(file)
    assert file.problem == ""


def test_a_problem_is_told_without_anybody_who_logs_in(path: Path) -> None:
    clock = Clock()
    file = CertmapFile(path, clock=clock)
    path.write_text("certmap default\nnonsense\n")
    assert file.problem == ""
    clock.pass_by()
    assert file.problem.startswith(f"{path}:2: there is no mapping named 'nonsense'")


def test_a_file_that_goes_away_is_a_problem_until_it_is_back(path: Path) -> None:
    clock = Clock()
    file = CertmapFile(path, clock=clock)
    content = path.read_text()
    path.unlink()
    clock.pass_by()
    assert verifies(file)
    assert "No such file" in file.problem
    path.touch(mode=0o600)
    path.write_text(content)
    clock.pass_by()
    assert verifies(file)
    assert file.problem == ""


def test_warnings_are_those_of_the_version_in_force(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_text("certmap default default\ndefault:FilterComps e, shoeSize\n")
    with caplog.at_level(logging.WARNING):
        file = CertmapFile(path)
    assert file.warnings == (f"{path}:2: FilterComps: shoeSize is not known, it is left out",)
    assert "shoeSize" in caplog.text


def test_a_file_that_others_may_write_is_refused(path: Path) -> None:
    path.chmod(0o644)
    assert verifies(CertmapFile(path))
    path.chmod(0o620)
    with pytest.raises(ConfigurationError, match="decides who logs in"):
        read_certmap(path)


def test_only_a_regular_file_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigurationError, match="not a regular file"):
        read_certmap(tmp_path / "pipe")
    with pytest.raises(ConfigurationError, match="mailfront init makes"):
        read_certmap(tmp_path / "absent")


def test_functions_are_loaded_with_the_file(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_certmap_function.py").write_text("async def find(question): return None\n")
    monkeypatch.syspath_prepend(tmp_path)
    path.write_text("certmap default default\ndefault:module own_certmap_function:find\n")
    loaded = read_certmap(path)
    function = loaded.function_of(loaded.certmap.default)
    assert function is not None
    assert function.__name__ == "find"
    path.write_text("certmap default default\ndefault:module own_certmap_function:absent\n")
    with pytest.raises(ConfigurationError, match=r"certmap\.conf:1: there is no function absent"):
        read_certmap(path)
