"""`mailfront doctor`: its usage, its exit status, and where it prints what."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from cryptography import x509

from mailfront.cli.main import main
from mailfront.errors import OperatorError
from mailfront.tls.doctor.facts import Examination
from mailfront.tls.doctor.target import Target
from tests.support.issuing import Issuer, certificate_pem_file
from tests.support.keystores import root_with_keystore

Seen = list[tuple[Target, list[x509.Certificate]]]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """What the examination was asked for; it finds a good server, or an old one at port 995."""
    asked: Seen = []

    def examine(target: Target, authorities: Sequence[x509.Certificate]) -> Examination:
        asked.append((target, list(authorities)))
        if target.port == 465:
            raise OperatorError("no connection")
        facts = Examination(target)
        facts.versions = {"TLSv1.3": True, "TLSv1": target.port == 995}
        return facts

    monkeypatch.setattr("mailfront.tls.doctor.examination.examine", examine)
    return asked


@pytest.mark.parametrize(("port", "status"), [(993, 0), (995, 1), (465, 1), (7777, 2)])
def test_the_exit_status_tells_how_it_went(seen: Seen, port: int, status: int) -> None:
    assert main(["doctor", f"mail.example.org:{port}"]) == status


@pytest.mark.parametrize(
    "arguments",
    [[], ["host:x"], ["host", "--starttls", "ftp"], ["host", "--implicit", "--starttls", "imap"]],
)
def test_wrong_usage_examines_nothing(seen: Seen, arguments: list[str]) -> None:
    assert main(["doctor", *arguments]) == 2
    assert seen == []


def test_the_report_is_data_and_goes_to_stdout(
    seen: Seen, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["doctor", "mail.example.org:993"])
    printed = capsys.readouterr()
    assert "No objection." in printed.out
    assert printed.err == ""


def test_json_has_the_findings(seen: Seen, capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor", "mail.example.org:995", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert report["versions"] == {"TLSv1.3": True, "TLSv1": True}
    assert [finding["severity"] for finding in report["findings"]] == ["warning"]


def test_authorities_come_from_a_file_and_from_a_server_root(seen: Seen, tmp_path: Path) -> None:
    root = root_with_keystore(tmp_path / "root")
    root.msg_conf.touch()
    issuer = Issuer()
    file = certificate_pem_file(tmp_path / "ca.pem", [issuer.root])
    main(["doctor", "mail.example.org", "--ca", str(file), "--home", str(root.path)])
    ((_, authorities),) = seen
    assert authorities == [issuer.root]


def test_a_file_without_certificates_is_told(
    seen: Seen, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    assert main(["doctor", "mail.example.org", "--ca", str(tmp_path / "ca.pem")]) == 1
    assert "ca.pem" in capsys.readouterr().err
    assert seen == []
