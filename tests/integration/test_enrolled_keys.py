"""A person without a CA logs in with a self-signed certificate; certmap.conf is followed live."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from tests.conftest import NewServer
from tests.support.client_authority import ClientAuthority, ClientIdentity, new_key
from tests.support.client_certificates import client_certificate
from tests.support.dialogue import Dialogue, unverified_context
from tests.support.login_site import SERVICES, VERSIONS, connect, log_in
from tests.support.server import ALICE, BOB, MailServer, run_command
from tests.support.waiting import eventually


def identity(name: str) -> ClientIdentity:
    """A self-signed certificate with a key of its own."""
    key = new_key()
    certificate = client_certificate(f"CN={name}", issuer=f"CN={name}", key=key, signer=key)
    return ClientIdentity(key, certificate)


def context_of(identity: ClientIdentity, directory: Path, version: str = "1.3") -> ssl.SSLContext:
    context = unverified_context()
    context.minimum_version = context.maximum_version = VERSIONS[version]
    context.load_cert_chain(identity.write(directory))
    return context


@pytest.fixture
def pinning(new_server: NewServer, tmp_path: Path) -> MailServer:
    server = new_server()
    with server.root.certmap_conf.open("a") as stream:
        stream.write("default:pinned on\n")
    return server


def test_an_enrolled_key_logs_in_on_every_service_without_any_ca(
    pinning: MailServer, tmp_path: Path
) -> None:
    alice, stranger = identity("Alice"), identity("Stranger")
    done = pinning.mailfront("user", "enroll-key", ALICE, str(alice.write(tmp_path, "alice")))
    assert done.returncode == 0, done.stderr
    with pinning as server:
        for version in VERSIONS:
            known = context_of(alice, tmp_path, version)
            for service in SERVICES:
                assert log_in(service, server.ports[service], known) == "granted"
            unknown = context_of(stranger, tmp_path, version)
            assert log_in("imaps", server.ports["imaps"], unknown) == "refused"


def test_a_key_is_enrolled_and_taken_back_while_the_server_runs(
    pinning: MailServer, tmp_path: Path
) -> None:
    bob = identity("Bob")
    file = str(bob.write(tmp_path, "bob"))
    known = context_of(bob, tmp_path)
    with pinning as server:
        port = server.ports["imaps"]
        assert log_in("imaps", port, known) == "refused"
        assert server.mailfront("user", "enroll-key", BOB, file).returncode == 0
        eventually(lambda: log_in("imaps", port, known) == "granted", "the key is not taken")
        assert server.mailfront("user", "remove-key", BOB, file).returncode == 0
        eventually(lambda: log_in("imaps", port, known) == "refused", "the key is still taken")


def test_certmap_conf_is_followed_and_a_mistake_keeps_the_old_in_force(
    pinning: MailServer, tmp_path: Path
) -> None:
    alice = identity("Alice")
    pinning.mailfront("user", "enroll-key", ALICE, str(alice.write(tmp_path, "alice")))
    known = context_of(alice, tmp_path)
    path = pinning.root.certmap_conf
    good = path.read_text()
    with pinning as server:
        port = server.ports["imaps"]
        assert log_in("imaps", port, known) == "granted"
        path.write_text(good + "default:pined off\n")

        def told() -> bool:
            return "did you mean pinned?" in server.mailfront("status").stderr

        eventually(told, "the mistake is not told")
        assert log_in("imaps", port, known) == "granted"
        # Nobody is asked for a certificate now: there is no CA.
        path.write_text(good.replace("default:pinned on", "default:pinned off"))
        eventually(lambda: log_in("imaps", port, known) == "not offered", "still asked for")
        assert server.mailfront("status", "--strict").returncode == 0


def test_a_client_ca_beside_enrolled_keys_still_verifies_its_own(
    pinning: MailServer, tmp_path: Path
) -> None:
    staff = ClientAuthority("Staff CA")
    file = ClientIdentity(staff.key, staff.certificate).write(tmp_path, "staff")
    done = run_command(
        "msgcert", "add-cert", "-C", "--trust", "client", "--home", str(pinning.root.path), "staff",
        str(file),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    employee, alice = staff.issue("bob"), identity("Alice")
    pinning.mailfront("user", "enroll-key", ALICE, str(alice.write(tmp_path, "alice")))
    with pinning as server:
        port = server.ports["pops"]
        for who in (employee, alice):
            assert log_in("pops", port, context_of(who, tmp_path)) == "granted"


def external(client: Dialogue) -> bytes:
    client.lines_until(b"* OK")
    return client.ask(b"a AUTHENTICATE EXTERNAL =", b"a ")[-1]


def test_a_revoked_certificates_key_logs_in_by_no_other_certificate_either(
    pinning: MailServer, tmp_path: Path
) -> None:
    staff = ClientAuthority("Staff CA")
    file = ClientIdentity(staff.key, staff.certificate).write(tmp_path, "staff")
    home = ("--home", str(pinning.root.path))
    done = run_command("msgcert", "add-cert", "-C", "--trust", "client", *home, "staff", str(file))
    assert done.returncode == 0, done.stderr
    alice = staff.issue("alice")
    pinning.mailfront("user", "enroll-key", ALICE, str(alice.write(tmp_path, "alice")))
    forged = client_certificate("CN=x", issuer="CN=x", key=alice.key, signer=alice.key)
    known = context_of(alice, tmp_path)
    thief = context_of(ClientIdentity(alice.key, forged), tmp_path)
    crl = tmp_path / "staff.crl"
    crl.write_bytes(staff.revocation_list([alice.certificate.serial_number]))
    with pinning as server:
        port = server.ports["imaps"]
        assert log_in("imaps", port, thief) == "granted"
        with connect(port, known) as before, connect(port, known) as after:
            assert external(before).startswith(b"a OK")
            done = run_command("msgcert", "add-crl", *home, "staff", str(crl))
            assert done.returncode == 0, done.stderr
            eventually(lambda: log_in("imaps", port, thief) == "refused", "the key is still taken")
            # What the handshake found was good.
            assert external(after).startswith(b"a NO")
