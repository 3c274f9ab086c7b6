"""`mailfront ciphers`: policies, one suite, the original's names; text and JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mailfront.cli.main import main
from mailfront.configuration.options.encryption import SERVICES
from mailfront.server.certificates import ALPN
from mailfront.tls import openssl
from mailfront.tls.policy import policy_named


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MAILFRONT_HOME", raising=False)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "msg.conf").touch()
    return tmp_path


def configure(home: Path, text: str) -> None:
    (home / "config" / "msg.conf").write_text(text)


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["ciphers", *arguments]) == 0
    return capsys.readouterr().out


def test_the_services_are_those_that_present_certificates() -> None:
    assert set(ALPN) == set(SERVICES)


def test_services_with_the_same_policy_are_shown_together(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(home, "local.pop.tlsprofile = legacy\n")
    out = printed(capsys, "--home", str(home))
    assert "imta, imap, http: intermediate-2026-11, TLSv1.2, TLSv1.3\n" in out
    assert "pop: legacy-2026-11, TLSv1.2, TLSv1.3\n" in out


def test_the_suites_stand_in_the_server_s_order(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = printed(capsys, "--home", str(home), "--service", "imap")
    names = [suite.name for suite in policy_named("intermediate").effective_suites]
    assert [line.split()[1] for line in out.splitlines() if line.startswith("TLSv1.")] == names
    assert "Groups: " in out
    assert "Signature algorithms: ecdsa_secp256r1_sha256, " in out


def test_what_is_refused_is_told_with_its_reason(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ciphers = "ECDHE-RSA-AES128-GCM-SHA256,rsa_rc4_40_md5"
    configure(home, f"local.imap.nsssl3ciphers = {ciphers}\n")
    out = printed(capsys, "--home", str(home), "--service", "imap")
    [line] = [line for line in out.splitlines() if line.startswith("rsa_rc4_40_md5")]
    assert "RC4 (RFC 7465)" in line


def test_old_versions_are_warned_of_on_stderr(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(home, "local.pop.tlsprofile = legacy\nlocal.pop.tlsminversion = TLSv1.0\n")
    assert main(["ciphers", "--home", str(home), "--service", "pop"]) == 0
    assert capsys.readouterr().err.startswith("warning: pop: TLSv1.0 is enabled")


def test_a_policy_that_is_wrong_is_told_with_file_and_line(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(home, "\nencryption.nsssl3ciphers = rsa_3des_sah\n")
    assert main(["ciphers", "--home", str(home)]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"{home / 'config' / 'msg.conf'}:2: encryption.nsssl3ciphers = ")
    assert "did you mean rsa_3des_sha?" in error


def test_without_a_server_root_the_default_profile_is_shown(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ciphers"]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("profile intermediate: intermediate-2026-11")
    assert "no server root is named" in captured.err
    assert main(["ciphers", "--service", "imap"]) == 1


def test_the_policies_are_json_too(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = json.loads(printed(capsys, "--profile", "modern", "--json"))
    [policy] = record["policies"]
    assert (policy["policy"], policy["versions"]) == ("modern-2026-11", ["TLSv1.3"])
    assert policy["suites"][0]["iana"] == "TLS_AES_128_GCM_SHA256"
    assert {each["setting"] for each in record["settings"]} == {
        setting.value for setting in openssl.Setting
    }


def test_a_setting_that_cannot_be_made_is_told(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openssl, "linked_library", lambda: "nothing is exported")
    monkeypatch.setattr(openssl, "_NATIVE", {})
    out = printed(capsys, "--profile", "intermediate")
    for setting in openssl.Setting:
        assert f"{setting.value}: unavailable, OpenSSL's own; nothing is exported\n" in out


@pytest.mark.parametrize("name", ["rsa_3des_sha", "DES-CBC3-SHA", "tls_rsa_with_3des_ede_cbc_sha"])
def test_one_suite_is_explained_by_any_of_its_names(
    home: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    out = printed(capsys, "--home", str(home), "--explain", name)
    for part in ("TLS_RSA_WITH_3DES_EDE_CBC_SHA", "rsa_3des_sha", "0x000A", "strength 112"):
        assert part in out
    assert "only the profile legacy permits it" in out.splitlines()[-1]


def test_an_unknown_suite_is_refused_with_the_nearest_name(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ciphers", "--explain", "rsa_3des_sah"]) == 1
    assert "did you mean rsa_3des_sha?" in capsys.readouterr().err


def test_table_23_2_comes_first_with_the_fate_of_each_row(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = printed(capsys, "--home", str(home), "--table")
    lines = out.splitlines()
    rows = lines[lines.index("Its other names") - 7 : lines.index("Its other names") - 1]
    assert [row.split("  ")[0] for row in rows] == [
        "RC4, 128 bit, MD5",
        "Triple DES, 168 bit, SHA",
        "DES, 56 bit, SHA",
        "RC4, 40 bit, MD5",
        "RC2, 40 bit, MD5",
        "no encryption, MD5 only",
    ]
    assert "RFC 6176" in out


def test_table_and_explanation_are_json_too(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(printed(capsys, "--profile", "legacy", "--table", "--json"))
    assert [row["table_23_2"] is not None for row in rows[:7]] == [True] * 6 + [False]
    explained = json.loads(printed(capsys, "--profile", "legacy", "--explain", "rc4", "--json"))
    assert explained["standing"] == {"profile legacy": "must not: SSL 2.0 (RFC 6176)"}
