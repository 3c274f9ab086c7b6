"""`mailfront queue` on the disk, without a server."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from mailfront.cli.main import main
from mailfront.queue.database import NAME, QueueDatabase
from mailfront.queue.spool import Spool
from tests.support.mail_queues import LETTER, letter_to


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/msg.conf").write_text("")
    return tmp_path


def accept(home: Path, recipient: str) -> str:
    spool = Spool(home / "queue")
    spool.create()
    prepared = spool.prepare(letter_to(recipient), [LETTER])
    prepared.commit()
    return prepared.identifier


def run(home: Path, *arguments: str) -> int:
    return main(["queue", *arguments, "--home", str(home)])


def test_a_server_that_never_sent_anything_has_an_empty_queue(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(home, "list") == 0
    assert "empty" in capsys.readouterr().err
    assert run(home, "retry", "--all") == 1


def test_what_nobody_has_taken_in_yet_is_listed_and_shown(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = accept(home, "carol@there.example")
    assert run(home, "list", "--json") == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert record["id"] == name
    assert record["recipients"][0]["state"] == "waiting"
    assert run(home, "show", name) == 0
    assert "carol@there.example: now, 0 attempts" in capsys.readouterr().out
    assert run(home, "show", name, "--content") == 0
    assert "Subject: hello" in capsys.readouterr().out
    assert run(home, "show", "00112233") == 1
    assert run(home, "show", "../../etc/passwd") == 1


def test_messages_are_held_released_and_deleted(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = accept(home, "carol@there.example")
    other = accept(home, "dave@elsewhere.example")
    assert run(home, "hold", "--destination", "there.example") == 0
    assert "1 messages chosen, 1 recipients held" in capsys.readouterr().err
    assert run(home, "list") == 0
    assert "held" in capsys.readouterr().out
    assert run(home, "list", "--destination", "elsewhere.example") == 0
    assert name not in (listed := capsys.readouterr().out)
    assert other in listed
    assert run(home, "release", name, "00112233") == 1
    assert "no message 00112233" in capsys.readouterr().err
    assert run(home, "delete", "--all", "--json") == 0
    assert json.loads(capsys.readouterr().out)["messages"] == 2
    assert list((home / "queue/messages").iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [("hold",), ("hold", "--all", "00112233"), ("retry", "--all", "--destination", "x"),
     ("delete", "--destination", ""), ("delete", "--destination=")],
)  # fmt: skip
def test_what_is_meant_has_to_be_said_in_one_way(home: Path, arguments: tuple[str, ...]) -> None:
    assert run(home, *arguments) == 2


def test_an_empty_destination_deletes_nothing(home: Path) -> None:
    name = accept(home, "carol@there.example")
    assert run(home, "delete", "--destination", "") == 2
    assert run(home, "delete", "--destination", " ") == 1
    assert run(home, "delete", "--", "--all") == 1
    assert run(home, "show", name) == 0


def test_what_is_taken_in_here_has_the_next_hop_and_the_time_that_the_server_would_give(
    home: Path,
) -> None:
    name = accept(home, "carol@there.example")
    assert run(home, "retry", "--all") == 0
    with closing(QueueDatabase(home / "queue" / NAME, read_only=True)) as database:
        mail = database.find(name)
        assert mail is not None
        (recipient,) = mail.recipients
        assert recipient.hop == "tcp_local there.example"
        assert recipient.next_notice > mail.arrived + 3600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root acts as somebody else")
@pytest.mark.parametrize("option", ["local.serveruid = nobody\n", ""])
def test_what_root_changes_stays_the_servers(option: str) -> None:
    user = pwd.getpwnam("nobody")
    with tempfile.TemporaryDirectory() as place:
        home = Path(place)
        (home / "config").mkdir()
        (home / "config/msg.conf").write_text(option)
        name = accept(home, "carol@there.example")
        for path in (home, *home.rglob("*")):
            os.chown(path, user.pw_uid, user.pw_gid)
        done = subprocess.run(
            [sys.executable, "-m", "mailfront", "queue", "hold", name, "--home", place],
            umask=0o022, timeout=60, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        written = [*home.rglob("*")]
        assert home / "queue" / NAME in written
        assert {path.stat().st_uid for path in written} == {user.pw_uid}
        assert (home / "queue" / NAME).stat().st_mode & 0o077 == 0
