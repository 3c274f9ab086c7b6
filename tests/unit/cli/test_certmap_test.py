"""`mailfront certmap-test`: each step on stdout, 0 for a login and 1 for none."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from mailfront.authentication.certificate_mapping import CertificateMapper
from mailfront.cli.main import main
from mailfront.configuration.default_files import install_default_configuration
from mailfront.configuration.home import ServerRoot
from mailfront.directory.editing import add_entry
from mailfront.errors import DirectoryUnavailableError
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.trust import TrustFlags
from tests.support.client_authority import NOW, ClientAuthority, ClientIdentity
from tests.support.keystores import PASSWORD, root_with_keystore

ANN = "ann@example.test"
CA = ClientAuthority("Staff CA")
Test = Callable[..., int]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> ServerRoot:
    root = root_with_keystore(tmp_path_factory.mktemp("certmap") / "root")
    install_default_configuration(root)
    root.certdb_directory.chmod(0o700)
    with InternalToken.open(root.certificate_database, PASSWORD) as token:
        token.add_authority("staff", CA.certificate, "T")
    add_entry(root.users_ldif, ANN, "{ARGON2}x")
    return root


@pytest.fixture
def root(template: ServerRoot) -> ServerRoot:
    """The same for all tests, which change certmap.conf and users.ldif alone."""
    for path in (template.certmap_conf, template.users_ldif):
        path.unlink()
    install_default_configuration(template)
    add_entry(template.users_ldif, ANN, "{ARGON2}x")
    return template


@pytest.fixture
def test(root: ServerRoot, tmp_path: Path) -> Test:
    def test(identity: ClientIdentity, *arguments: str) -> int:
        file = identity.write(tmp_path)
        return main(["certmap-test", str(file), "--home", str(root.path), *arguments])

    return test


def steps(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    lines = capsys.readouterr().out.splitlines()
    return {title: text.strip() for title, _, text in (line.partition(":") for line in lines)}


def test_each_step_of_a_login_is_printed(
    test: Test, root: ServerRoot, capsys: pytest.CaptureFixture[str]
) -> None:
    assert test(CA.issue("Ann", email=ANN)) == 0
    printed = steps(capsys)
    assert printed["subject"] == "CN=Ann"
    assert printed["issuer"] == "CN=Staff CA"
    assert printed["addresses"] == f"email:{ANN}"
    assert printed["key"].startswith("EC P-256, ")
    assert printed["trust"] == "a CA that is trusted for clients issued it"
    assert printed["mapping"].startswith(f"default, {root.certmap_conf}:")
    assert printed["search base"] == "the whole directory"
    assert printed["filter"] == f"(mail={ANN})"
    assert printed["found"] == f"{ANN} (uid=ann,ou=People,dc=example,dc=test)"
    assert printed["status"] == "active"
    assert printed["access filter"] == "none"
    assert printed["decision"] == f"login on imap as {ANN}"


def test_a_chain_through_an_intermediate_ca_is_judged_whole(test: Test) -> None:
    identity = ClientAuthority("Issuing CA", parent=CA).issue("Ann", email=ANN)
    assert test(identity, "--service", "smtp") == 0


@pytest.mark.parametrize(
    ("identity", "reason"),
    [
        (CA.issue("Bob", email="bob@example.test"), "no entry matches (mail=bob@example.test)"),
        (CA.issue("Ann", email=ANN, ends=NOW - timedelta(hours=1)), "it has expired"),
        (ClientAuthority("Else").issue("Ann", email=ANN), "no CA that is trusted for clients"),
    ],
    ids=["unmapped", "expired", "untrusted"],
)
def test_no_login_tells_why(
    test: Test, identity: ClientIdentity, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert test(identity) == 1
    assert steps(capsys)["decision"].startswith(f"no login: {reason}")


def test_an_account_that_may_not_log_in_is_no_login(
    test: Test, root: ServerRoot, capsys: pytest.CaptureFixture[str]
) -> None:
    content = root.users_ldif.read_text().replace("mailUserStatus: active", "mailUserStatus: hold")
    root.users_ldif.write_text(content)
    assert test(CA.issue("Ann", email=ANN)) == 1
    printed = steps(capsys)
    assert printed["status"] == "hold"
    assert printed["decision"] == f"no login: {ANN} may not log in: on hold"


def test_the_access_filter_is_judged_for_service_and_address(
    test: Test, root: ServerRoot, capsys: pytest.CaptureFixture[str]
) -> None:
    line = "\nmailUserStatus: active\n"
    rule = "\nmailAllowedServiceAccess: +imap:192.0.2."
    root.users_ldif.write_text(root.users_ldif.read_text().replace(line, f"{rule}{line}"))
    identity = CA.issue("Ann", email=ANN)
    assert test(identity) == 1
    assert steps(capsys)["decision"].endswith("may not log in: access filter")
    assert test(identity, "--from", "192.0.2.7") == 0
    assert steps(capsys)["access filter"] == "+imap:192.0.2."
    assert test(identity, "--from", "192.0.2.7", "--service", "pop") == 1


def test_the_same_as_json(test: Test, capsys: pytest.CaptureFixture[str]) -> None:
    assert test(CA.issue("Ann", email=ANN), "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert record["login"] == record["entry"] == ANN
    assert record["trusted"]
    assert record["mapping"] == "default"
    assert record["searches"] == [{"base": None, "filter": f"(mail={ANN})", "found": [ANN]}]
    assert test(CA.issue("Bob", email="bob@example.test"), "--json") == 1
    record = json.loads(capsys.readouterr().out)
    assert record["login"] is None
    assert record["reason"] == "no entry matches (mail=bob@example.test)"


def test_verifycert_tells_what_the_entry_holds(
    test: Test, root: ServerRoot, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = root.certmap_conf.read_text()
    root.certmap_conf.write_text(text.replace("verifycert off", "verifycert on"))
    identity = CA.issue("Ann", email=ANN)
    assert test(identity) == 1
    assert steps(capsys)["decision"] == "no login: verifycert: the entry holds no certificate"
    file = str(identity.write(tmp_path))
    assert main(["user", "enroll-key", ANN, file, "--home", str(root.path)]) == 0
    assert test(identity) == 0
    printed = steps(capsys)
    assert printed["verified"] == "the entry holds this certificate"
    assert printed["found"].endswith(", certificates: 1)")


def test_a_mistake_in_certmap_conf_is_told_with_its_line(
    test: Test, root: ServerRoot, capsys: pytest.CaptureFixture[str]
) -> None:
    root.certmap_conf.write_text("certmap default default\ndefault:verifycert maybe\n")
    assert test(CA.issue("Ann", email=ANN)) == 1
    assert f"{root.certmap_conf}:2: verifycert" in capsys.readouterr().err


def test_a_directory_that_cannot_be_asked_decides_nothing(
    test: Test, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def unavailable(*_: object) -> None:
        raise DirectoryUnavailableError("no answer")

    monkeypatch.setattr(CertificateMapper, "trace", unavailable)
    assert test(CA.issue("Ann", email=ANN)) == 1
    decision = steps(capsys)["decision"]
    assert decision == "no login: the directory cannot be asked now: no answer"


def test_a_ca_that_is_trusted_for_servers_only_is_named_with_the_command_that_mends_it(
    test: Test, root: ServerRoot, capsys: pytest.CaptureFixture[str]
) -> None:
    with InternalToken.open(root.certificate_database, PASSWORD) as token:
        token.set_trust("staff", TrustFlags.SERVERS)
    try:
        assert test(CA.issue("Ann", email=ANN)) == 1
    finally:
        with InternalToken.open(root.certificate_database, PASSWORD) as token:
            token.set_trust("staff", TrustFlags.CLIENTS)
    remedy = "staff is trusted for servers only: msgcert set-trust staff --trust server,client"
    assert steps(capsys)["remedy"] == remedy


def test_an_unknown_service_is_wrong_usage(test: Test) -> None:
    assert test(CA.issue("Ann", email=ANN), "--service", "ftp") == 2
