"""`mailfront route`: rule, channel, servers and TLS of an address."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mailfront.channels.channel import Channel, Demand
from mailfront.cli.main import main
from mailfront.cli.route import client_keywords, server_keywords
from mailfront.configuration.home import ServerRoot
from mailfront.configuration.msg_conf import set_option


@pytest.fixture
def root(server_root_template: Path, tmp_path: Path) -> ServerRoot:
    root = ServerRoot(shutil.copytree(server_root_template, tmp_path / "root"))
    text = root.imta_cnf.read_text()
    # By addresses alone nobody has to be asked.
    rules = "elsewhere.test $U%$D@relay-daemon\nlost.test $U%$D@localhost\n."
    text = text.replace("\n.  ", f"\n{rules}  ", 1)
    root.imta_cnf.write_text(
        f"{text}\ntcp_relay smtp musttls daemon [192.0.2.1] port 587\nrelay-daemon\n"
    )
    return root


def asked(root: ServerRoot, *arguments: str) -> int:
    return main(["route", *arguments, "--home", str(root.path)])


def test_an_address_elsewhere_is_followed_to_its_servers(
    root: ServerRoot, capsys: pytest.CaptureFixture[str]
) -> None:
    assert asked(root, "ann@elsewhere.test") == 0
    told = capsys.readouterr().out
    assert f"{root.imta_cnf}:25: elsewhere.test  $U%$D@relay-daemon" in told
    assert "tcp_relay: musttls mx daemon [192.0.2.1] port 587" in told
    assert "server:     [192.0.2.1], 192.0.2.1" in told
    assert "verified by a CA (musttls)" in told


def test_the_same_is_there_as_json(root: ServerRoot, capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(root, "ann@elsewhere.test", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["rule"]["line"] == 25
    assert told["channel"]["name"] == "tcp_relay"
    assert told["hosts"][0]["addresses"] == ["192.0.2.1"]
    assert told["local"] is False
    assert told["problem"] is None


def test_a_user_here_has_a_mailbox(root: ServerRoot, capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(root, "alice@example.test") == 0
    assert "yes, the mailbox of alice@example.test" in capsys.readouterr().out
    assert asked(root, "example.test") == 0
    assert "yes, the domain is ours" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("nobody@example.test", "there is no such user"),
        ("x@lost.test", "the directory has no users in it"),
        ("x@a..b", "not a domain name"),
    ],
)
def test_what_leads_nowhere_fails_with_the_reason(
    root: ServerRoot, capsys: pytest.CaptureFixture[str], address: str, told: str
) -> None:
    assert asked(root, address) == 1
    assert told in capsys.readouterr().out


def test_without_outgoing_mail_that_is_the_reason(
    root: ServerRoot, capsys: pytest.CaptureFixture[str]
) -> None:
    set_option(root.msg_conf, "queue.enable", "no")
    assert asked(root, "ann@elsewhere.test") == 1
    assert "queue.enable is no" in capsys.readouterr().out


def test_without_an_address_all_rules_and_channels_are_told(
    root: ServerRoot, capsys: pytest.CaptureFixture[str]
) -> None:
    assert asked(root) == 0
    told = capsys.readouterr().out
    assert "musttlsserver mustsaslserver noswitchchannel" in told
    assert "mailboxes here" in told
    assert asked(root, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert [each["pattern"] for each in told["rules"]] == [
        "elsewhere.test", "lost.test", ".", "[]",
    ]  # fmt: skip


def test_a_mistake_in_the_file_is_the_answer(
    root: ServerRoot, capsys: pytest.CaptureFixture[str]
) -> None:
    root.imta_cnf.write_text("wrong\n")
    assert asked(root, "ann@elsewhere.test") == 1
    assert f"{root.imta_cnf}:1: a rewrite rule is" in capsys.readouterr().err


def test_keywords_are_told_as_they_are_written() -> None:
    channel = Channel(
        "tcp_x", "x", 1, tls_client=Demand.MAY, tls_server=Demand.MUST, sasl_client=Demand.MUST,
        tls_switch="tcp_y", sasl_switch="tcp_z", switches=True, source_block_limit=2048,
        backoff=(300.0,), notices=(86400.0,), client_certificate="ours",
    )  # fmt: skip
    assert client_keywords(channel) == [
        "maytls", "mx", "port 25", "maxjobs 10", "mustsaslclient", "tlscertificate ours",
        "backoff 5 min", "notices 1 day",
    ]  # fmt: skip
    assert server_keywords(channel) == [
        "musttlsserver", "nosaslserver", "tlsswitchchannel tcp_y", "saslswitchchannel tcp_z",
        "switchchannel", "sourceblocklimit 2",
    ]  # fmt: skip
