import os
from pathlib import Path

import pytest

from mailfront.channels.channels_file import CHECK_INTERVAL, ChannelsFile
from mailfront.configuration.home import ServerRoot
from mailfront.errors import ConfigurationError

FILE = """\
. $U%$H@tcp-daemon

l
localhost

<blocks
"""
BLOCK = "tcp_local smtp {}\ntcp-daemon\n"


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def write(path: Path, text: str) -> None:
    # Under another name first: an editor's way, with another inode whatever the clock says.
    temporary = path.with_name("temporary")
    temporary.write_text(text)
    temporary.chmod(0o600)
    temporary.replace(path)


@pytest.fixture
def root(tmp_path: Path) -> ServerRoot:
    root = ServerRoot(tmp_path)
    root.config_directory.mkdir()
    write(root.imta_cnf, FILE)
    write(root.config_directory / "blocks", BLOCK.format("maxjobs 1"))
    return root


def jobs(file: ChannelsFile) -> int:
    return file.current().channels["tcp_local"].max_jobs


def test_a_changed_file_is_in_force_after_the_next_look(root: ServerRoot) -> None:
    clock = Clock()
    file = ChannelsFile(root, clock=clock)
    write(root.imta_cnf, FILE.replace("<blocks", BLOCK.format("maxjobs 2")))
    assert jobs(file) == 1
    clock.now += CHECK_INTERVAL
    assert jobs(file) == 2


def test_an_included_file_counts_too(root: ServerRoot) -> None:
    clock = Clock()
    file = ChannelsFile(root, clock=clock)
    write(root.config_directory / "blocks", BLOCK.format("maxjobs 3"))
    clock.now += CHECK_INTERVAL
    assert jobs(file) == 3


def test_a_mistake_leaves_what_was_read_in_force(
    root: ServerRoot, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    file = ChannelsFile(root, clock=clock)
    write(root.config_directory / "blocks", BLOCK.format("maxjob 3"))
    for _ in range(3):
        clock.now += CHECK_INTERVAL
        assert jobs(file) == 1
    assert "blocks:1: unknown keyword maxjob: did you mean maxjobs?" in file.problems()[0]
    assert len([each for each in caplog.records if each.levelname == "ERROR"]) == 1
    write(root.config_directory / "blocks", BLOCK.format("maxjobs 4"))
    clock.now += CHECK_INTERVAL
    assert jobs(file) == 4
    assert file.problems() == []


def test_a_file_that_goes_leaves_the_standard(root: ServerRoot) -> None:
    clock = Clock()
    file = ChannelsFile(root, clock=clock)
    os.unlink(root.imta_cnf)
    clock.now += CHECK_INTERVAL
    assert jobs(file) == 10
    write(root.imta_cnf, FILE)
    clock.now += CHECK_INTERVAL
    assert jobs(file) == 1


def test_a_mistake_at_the_start_is_raised(root: ServerRoot) -> None:
    write(root.imta_cnf, "wrong\n")
    with pytest.raises(ConfigurationError):
        ChannelsFile(root)
