"""`list-certs`: the original's layout, and exit codes for cron."""

from __future__ import annotations

import json
import re
import sqlite3
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mailfront.cli.msgcert import listing, main
from mailfront.cli.msgcert.listing import certificate_facts, is_self_signed
from mailfront.configuration.home import ServerRoot
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.records import CertificateRecord
from mailfront.keystore.trust import TrustFlags
from tests.support.keystores import (
    PASSWORD,
    authority,
    issued_by,
    root_with_keystore,
    self_signed,
)

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def root(tmp_path: Path) -> ServerRoot:
    root = root_with_keystore(tmp_path / "root")
    now = datetime.now(UTC)
    ca_key, ca = authority()
    leaf_key, leaf = issued_by(ca_key, ca, "pop.example.test")
    with InternalToken.open(root.certificate_database, PASSWORD) as token:
        key, certificate = self_signed("imap.example.test")
        token.add_key_and_certificate("imap-cert", key, [certificate])
        token.add_key_and_certificate("pop-cert", leaf_key, [leaf, ca])
        key, certificate = self_signed("old.example.test", now=now - timedelta(days=100), days=90)
        token.add_key_and_certificate("old-cert", key, [certificate])
        key, certificate = self_signed("soon.example.test", now=now, days=10)
        token.add_key_and_certificate("soon-cert", key, [certificate])
        token.add_authority("Example CA", ca, "CT")
    return root


def run(root: ServerRoot, *arguments: str) -> int:
    return main(["--home", str(root.path), "list-certs", *arguments])


def test_columns_are_the_originals_with_days_left_and_key_type_at_the_end(
    root: ServerRoot, capsys: Captured
) -> None:
    assert run(root) == 0
    head, second, rule, *body, count = capsys.readouterr().out.splitlines()
    assert re.split(r"\s{2,}", head) == [
        "Alias", "Valid from", "Expires on", "Self-", "Issued by", "Issued to", "Days", "Key type",
    ]  # fmt: skip
    assert second.split() == ["signed?", "left"]
    assert set(rule) == {"-", " "}
    assert [line.split()[0] for line in body] == ["imap-cert", "old-cert", "pop-cert", "soon-cert"]
    assert count == "4 certificates found"
    imap, _, pop, _ = body
    assert re.search(
        r"^imap-cert +\d{4}/\d\d/\d\d \d\d:\d\d +\d{4}/\d\d/\d\d \d\d:\d\d +y +"
        r"CN=imap.example.test +Same as issuer +89 +EC P-256$",
        imap,
    )
    assert re.search(r" n +CN=Example CA +CN=pop.example.test +", pop)


def test_authorities_are_listed_with_their_trust(root: ServerRoot, capsys: Captured) -> None:
    assert run(root, "-C") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("Trust")
    assert lines[-2].startswith("Example CA ")
    assert lines[-2].endswith(" CT")
    assert lines[-1] == "1 certificate found"


def test_what_expires_is_listed_alone_and_exits_3(root: ServerRoot, capsys: Captured) -> None:
    assert run(root, "--expiring", "14") == 3
    body = capsys.readouterr().out.splitlines()[3:]
    assert [line.split()[0] for line in body] == ["old-cert", "soon-cert", "2"]


def test_nothing_that_expires_exits_0(root: ServerRoot, capsys: Captured) -> None:
    assert run(root, "-C", "--expiring", "14") == 0
    assert "0 certificates found" in capsys.readouterr().out


@pytest.mark.parametrize("days", ["-1", "x", "1.5"])
def test_days_are_a_whole_number(root: ServerRoot, days: str) -> None:
    assert run(root, f"--expiring={days}") == 2


def test_json_holds_every_fact(root: ServerRoot, capsys: Captured) -> None:
    assert run(root, "--json") == 0
    entries = {entry["alias"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert set(entries) == {"imap-cert", "old-cert", "pop-cert", "soon-cert"}
    assert entries["old-cert"]["state"] == "expired"
    assert entries["soon-cert"]["state"] == "expiring"
    assert entries["imap-cert"]["alternative_names"] == ["DNS:imap.example.test"]
    assert entries["pop-cert"]["chain"] == ["CN=Example CA"]
    assert not entries["pop-cert"]["self_signed"]
    assert datetime.fromisoformat(entries["imap-cert"]["not_after"]).tzinfo is not None


def test_there_is_no_colour_where_no_terminal_is(root: ServerRoot, capsys: Captured) -> None:
    run(root)
    assert "\x1b" not in capsys.readouterr().out


def test_on_a_terminal_the_expired_is_red_and_the_expiring_yellow(
    root: ServerRoot, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "_wants_colour", lambda: True)
    run(root)
    coloured = [line for line in capsys.readouterr().out.splitlines() if "\x1b" in line]
    assert [line[:12] for line in coloured] == ["\x1b[31mold-cer", "\x1b[33msoon-ce"]


def test_an_altered_entry_is_named_beside_the_intact_ones(
    root: ServerRoot, capsys: Captured
) -> None:
    with closing(sqlite3.connect(root.certificate_database)) as connection, connection:
        connection.execute("UPDATE entry SET trust = 'CTu' WHERE nickname = 'imap-cert'")
    assert run(root) == 1
    captured = capsys.readouterr()
    assert "imap-cert: the entry was altered" in captured.err
    assert "imap-cert" not in captured.out
    assert "3 certificates found" in captured.out


def test_names_from_certificates_cannot_steer_the_terminal(
    root: ServerRoot, capsys: Captured
) -> None:
    key, certificate = self_signed("\x1b[2J evil")
    with InternalToken.open(root.certificate_database, PASSWORD) as token:
        token.add_key_and_certificate("evil", key, [certificate])
    run(root)
    assert "\x1b" not in capsys.readouterr().out


def test_self_signed_means_signed_by_its_own_key() -> None:
    ca_key, ca = authority("same name")
    _, leaf = issued_by(ca_key, ca, "same name")
    record = CertificateRecord("x", leaf, (), TrustFlags.USER, has_key=True)
    assert not is_self_signed(record)
    assert is_self_signed(CertificateRecord("ca", ca, (), TrustFlags.SERVERS, has_key=False))
    assert certificate_facts(record, datetime.now(UTC))["self_signed"] is False


def test_a_key_that_waits_for_its_certificate_is_listed_as_pending(
    root: ServerRoot, capsys: Captured
) -> None:
    with InternalToken.open(root.certificate_database, PASSWORD) as token:
        token.add_pending_key("new-cert", self_signed()[0])
    assert run(root) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"new-cert +pending +EC P-256", lines[-3])
    assert lines[-2:] == ["4 certificates found", "1 key waits for a certificate"]
    assert run(root, "--json") == 0
    pending = json.loads(capsys.readouterr().out)[-1]
    assert (pending["alias"], pending["state"], pending["key"]) == (
        "new-cert",
        "pending",
        "EC P-256",
    )
    assert run(root, "-C") == 0
    assert "new-cert" not in capsys.readouterr().out


def test_the_services_that_use_a_certificate_stand_behind_it(
    root: ServerRoot, capsys: Captured
) -> None:
    root.msg_conf.write_text(
        "encryption.rsa.nssslpersonalityssl = pop-cert\nlocal.imap.sslnicknames = imap-cert\n"
    )
    assert run(root) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("In use by")
    assert lines[3].endswith("EC P-256  imap")
    assert lines[5].endswith("EC P-256  imta, pop, http")
    assert run(root, "--json") == 0
    entries = {entry["alias"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert entries["pop-cert"]["used_by"] == ["imta", "pop", "http"]
    assert entries["old-cert"]["used_by"] == []


def test_a_faulty_configuration_is_noted_and_the_list_printed(
    root: ServerRoot, capsys: Captured
) -> None:
    root.msg_conf.write_text("no.such.option = 1\n")
    assert run(root) == 0
    captured = capsys.readouterr()
    assert "mailfront check" in captured.err
    assert "4 certificates found" in captured.out


def test_an_authority_that_is_trusted_for_nothing_is_listed_too(
    root: ServerRoot, capsys: Captured
) -> None:
    with InternalToken.open(root.certificate_database, PASSWORD) as token:
        token.set_trust("Example CA", TrustFlags.NONE)
    assert run(root, "-C") == 0
    assert "Example CA" in capsys.readouterr().out


def test_an_entry_that_was_removed_outside_is_named(root: ServerRoot, capsys: Captured) -> None:
    with closing(sqlite3.connect(root.certificate_database)) as connection, connection:
        connection.execute("DELETE FROM entry WHERE nickname = 'imap-cert'")
    assert run(root) == 1
    assert "imap-cert: the entry was removed outside" in capsys.readouterr().err


def test_long_subjects_of_authorities_are_cut_on_a_terminal_only(
    root: ServerRoot, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "An Authority With a Name That Is Longer Than Anybody Can Read"
    with InternalToken.open(root.certificate_database, PASSWORD) as token:
        token.add_authority(name, authority(name)[1])
    assert run(root, "-C") == 0
    assert f"CN={name}" in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert run(root, "-C") == 0
    line = capsys.readouterr().out.splitlines()[3]
    assert line.startswith(f"{name}  ")
    assert "  CN=An Authority With a Name That Is Lon…  " in line
