"""certmap.conf over a real slapd: mapping as `mailfront certmap-test` shows it, keys that are
enrolled by ldapmodify, and our filters as slapd reads them."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from mailfront.configuration.home import ServerRoot
from mailfront.configuration.msg_conf import change_options
from mailfront.keystore.formats import chain_pem
from mailfront.protocol.ldap_filter import And, Equal, Filter, matches, to_text
from mailfront.protocol.ldif import Record, read_records
from tests.support.client_authority import ClientAuthority, ClientIdentity
from tests.support.client_certificates import client_certificate
from tests.support.peers import require_program
from tests.support.server import run_command
from tests.support.slapd import PEOPLE, READER, READER_PASSWORD, Slapd, user

CA = ClientAuthority("Staff CA")
ANN = CA.issue("Ann", email="ann@example.test")
TWIN = CA.issue("Twin Lee", email="nobody@example.test")
HOSTILE = [
    "a*b",
    "a)(uid=*",
    "a\\b",
    "(x)",
    "a\u00a0 b",
    "Stra\u00dfe",
    "Zo\u00eb",
    "a,b+c=d",
    "\\2a",
]


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    require_program("slapd")
    users = [
        user("ann", certSubjectDN="CN=Ann"),
        user("twin1", cn="Twin Lee"),
        user("twin2", cn="Twin Lee", userCertificate__binary=TWIN.leaf),
        user("bob", inetUserStatus="inactive"),
        *(user(f"h{number}", cn=value) for number, value in enumerate(HOSTILE)),
    ]
    with Slapd(tmp_path_factory.mktemp("slapd") / "ldap", users) as running:
        yield running


@pytest.fixture(scope="module")
def root(
    server_root_template: Path, tmp_path_factory: pytest.TempPathFactory, slapd: Slapd
) -> ServerRoot:
    """A server root that trusts CA for clients, and asks slapd over TLS."""
    directory = tmp_path_factory.mktemp("certmap")
    root = ServerRoot(directory / "root")
    shutil.copytree(server_root_template, root.path)
    for name, authority, purpose in (
        ("staff", CA.certificate, "client"),
        ("ldap", slapd.authority, "server"),
    ):
        file = directory / f"{name}.pem"
        file.write_bytes(chain_pem([authority]))
        done = run_command(
            "msgcert", "add-cert", "-C", "--trust", purpose, "--home", str(root.path), name,
            str(file),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    password = root.config_directory / "ldappassword"
    password.touch(mode=0o600)
    password.write_text(READER_PASSWORD)
    change_options(
        root.msg_conf,
        {
            "local.ugldaphost": slapd.tls_url,
            "local.ugldapbasedn": PEOPLE,
            "local.ugldapbinddn": READER,
            "service.defaultdomain": "example.test",
        },
    )
    return root


def outcome_of(root: ServerRoot, certmap: str, file: Path, *arguments: str) -> dict[str, object]:
    """What `certmap-test` says of a certificate with these properties of the default mapping."""
    lines = [f"default:{line}\n" for line in certmap.split("; ") if line]
    root.certmap_conf.write_text("certmap default default\n" + "".join(lines))
    done = run_command(
        "mailfront", "certmap-test", str(file), "--home", str(root.path), "--json", *arguments
    )
    record: dict[str, object] = json.loads(done.stdout)
    assert done.returncode == (0 if record["login"] else 1), done.stderr
    return record


@pytest.mark.parametrize(
    ("certmap", "identity", "login", "reason"),
    [
        ("SanEmail on", ANN, "ann@example.test", ""),
        ("SanEmail on", CA.issue("x", email="no@example.test"), None, "no entry matches"),
        ("SanEmail on", CA.issue("x", email="bob@example.test"), None, "may not log in: inactive"),
        ("SanUPN on; DNComps; FilterComps cn", ANN, "ann@example.test", ""),
        ("DNComps; FilterComps cn=uid", ANN, "ann@example.test", ""),
        ("DNComps; FilterComps cn", TWIN, None, "more than one entry matches (cn=Twin Lee)"),
        ("DNComps; FilterComps cn; verifycert on", TWIN, "twin2@example.test", ""),
        ("DNComps; FilterComps cn; verifycert on", ANN, None, "holds no certificate"),
        ("CmapLdapAttr certSubjectDN; DNComps; FilterComps", ANN, "ann@example.test", ""),
        # The subject is no entry's name: noSuchObject is nobody, not an outage.
        ("", ANN, None, "no entry matches (objectClass=*) below CN=Ann"),
        ("SanEmail on", ClientAuthority("Else").issue("Ann"), None, "no CA that is trusted"),
    ],
)
def test_a_certificate_is_mapped_by_ldap(
    root: ServerRoot,
    tmp_path: Path,
    certmap: str,
    identity: ClientIdentity,
    login: str | None,
    reason: str,
) -> None:
    record = outcome_of(root, certmap, identity.write(tmp_path))
    assert record["login"] == login
    assert reason in str(record["reason"])


def test_a_key_is_enrolled_by_ldapmodify_and_taken_back(
    root: ServerRoot, slapd: Slapd, tmp_path: Path
) -> None:
    file = tmp_path / "self-signed.pem"
    certificate = client_certificate("CN=Ann", issuer="CN=Ann")
    file.write_bytes(certificate.public_bytes(Encoding.PEM))
    operands = ("ann@example.test", str(file))
    home = ("--home", str(root.path))
    done = run_command("mailfront", "user", "enroll-key", *operands, *home)
    assert done.returncode == 0, done.stderr
    assert "give these lines to ldapmodify" in done.stderr
    slapd.modify(done.stdout)
    assert outcome_of(root, "pinned on", file)["login"] == "ann@example.test"
    assert outcome_of(root, "pinned off", file)["login"] is None
    refused = run_command("mailfront", "user", "enroll-key", "twin1@example.test", str(file), *home)
    assert refused.returncode == 1
    assert "enrolled for ann@example.test" in refused.stderr
    done = run_command("mailfront", "user", "remove-key", *operands, *home)
    slapd.modify(done.stdout)
    assert outcome_of(root, "pinned on", file)["login"] is None


def values_of(record: Record) -> dict[str, list[bytes]]:
    return {each.name: record.values(each.name) for each in record.attributes}


@pytest.mark.parametrize("value", [*HOSTILE, "*", "", "zoe\u0308", "A  B", "a b", "x*"])
def test_slapd_and_we_find_the_same_entries_by_any_value(slapd: Slapd, value: str) -> None:
    conditions: list[Filter] = [Equal("cn", value), And((Equal("cn", value), Equal("sn", "h1")))]
    everybody = list(read_records(slapd.search("(objectClass=inetMailUser)").encode()))
    assert len(everybody) == 4 + len(HOSTILE)
    for condition in conditions:
        found = read_records(slapd.search(to_text(condition), "uid").encode())
        ours = {record.name for record in everybody if matches(condition, values_of(record))}
        assert {record.name for record in found} == ours


def test_octets_in_a_filter_reach_slapd_as_they_are(slapd: Slapd) -> None:
    found = slapd.search(to_text(Equal("cn", "Zo\u00eb".encode())), "cn")
    assert base64.b64encode("Zo\u00eb".encode()).decode() in found
