"""`add-crl`, `list-crls`, `remove-crl`."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from mailfront.cli.msgcert import main
from mailfront.configuration.home import ServerRoot
from mailfront.keystore.internal_token import InternalToken
from tests.support.client_authority import DAY, NOW, ClientAuthority
from tests.support.keystores import PASSWORD, root_with_keystore
from tests.support.ports import LOOPBACK

Captured = pytest.CaptureFixture[str]
STAFF = ClientAuthority()
BELOW = ClientAuthority("Issuing CA", parent=STAFF)


@pytest.fixture
def root(tmp_path: Path) -> ServerRoot:
    root = root_with_keystore(tmp_path / "root")
    with InternalToken.open(root.certificate_database, PASSWORD) as token:
        token.add_authority("Staff CA", STAFF.certificate, "T")
    return root


def run(root: ServerRoot, subcommand: str, *arguments: object) -> int:
    return main([subcommand, "--home", str(root.path), *map(str, arguments)])


def written(directory: Path, octets: bytes, name: str = "list.crl") -> Path:
    path = directory / name
    path.write_bytes(octets)
    return path


def listed(root: ServerRoot, captured: Captured) -> list[dict[str, object]]:
    captured.readouterr()
    assert run(root, "list-crls", "--json") == 0
    found = json.loads(captured.readouterr().out)
    assert isinstance(found, list)
    return found


def test_a_list_is_added_listed_and_removed(
    root: ServerRoot, tmp_path: Path, capsys: Captured
) -> None:
    octets = STAFF.revocation_list([5, 7], number=3)
    assert run(root, "add-crl", "Staff CA", written(tmp_path, octets)) == 0
    assert "added the list of CN=Staff CA: 2 revoked" in capsys.readouterr().err
    assert run(root, "list-crls") == 0
    assert "CN=Staff CA" in capsys.readouterr().out
    [found] = listed(root, capsys)
    assert (found["ca"], found["number"], found["revoked"]) == ("CN=Staff CA", 3, 2)
    assert found["current"] is True
    assert run(root, "remove-crl", "Staff CA", "--yes") == 0
    assert listed(root, capsys) == []
    assert run(root, "remove-crl", "Staff CA", "--yes") == 1
    assert "there is no revocation list" in capsys.readouterr().err


def test_the_ca_may_be_a_file_and_its_list_be_named_by_its_id(
    root: ServerRoot, tmp_path: Path, capsys: Captured
) -> None:
    ca = written(tmp_path, BELOW.certificate.public_bytes(Encoding.PEM), "issuing.pem")
    assert run(root, "add-crl", ca, written(tmp_path, BELOW.revocation_list())) == 0
    [found] = listed(root, capsys)
    assert found["ca"] == "CN=Issuing CA"
    assert run(root, "remove-crl", found["id"], "--yes") == 0
    assert listed(root, capsys) == []


def test_an_unknown_ca_is_told_with_the_nearest_known_one(
    root: ServerRoot, tmp_path: Path, capsys: Captured
) -> None:
    assert run(root, "add-crl", "Staff C", written(tmp_path, STAFF.revocation_list())) == 1
    assert "Staff CA" in capsys.readouterr().err


def test_the_certificate_of_no_ca_has_no_list(
    root: ServerRoot, tmp_path: Path, capsys: Captured
) -> None:
    person = STAFF.issue().certificate.public_bytes(Encoding.PEM)
    ca = written(tmp_path, person, "person.pem")
    assert run(root, "add-crl", ca, written(tmp_path, STAFF.revocation_list())) == 1
    assert "is not a CA's" in capsys.readouterr().err


def test_an_older_list_needs_force(root: ServerRoot, tmp_path: Path, capsys: Captured) -> None:
    run(root, "add-crl", "Staff CA", written(tmp_path, STAFF.revocation_list(number=3)))
    older = written(tmp_path, STAFF.revocation_list(number=2), "older.crl")
    assert run(root, "add-crl", "Staff CA", older) == 1
    assert "older than the present one" in capsys.readouterr().err
    assert run(root, "add-crl", "Staff CA", older, "--force") == 0


def test_a_list_out_of_date_is_added_with_a_warning(
    root: ServerRoot, tmp_path: Path, capsys: Captured
) -> None:
    octets = STAFF.revocation_list(begins=NOW - 9 * DAY, ends=NOW - DAY)
    assert run(root, "add-crl", "Staff CA", written(tmp_path, octets)) == 0
    assert "out of date already" in capsys.readouterr().err
    run(root, "list-crls")
    assert "(out of date)" in capsys.readouterr().out


def test_what_is_no_list_or_no_file_is_told(
    root: ServerRoot, tmp_path: Path, capsys: Captured
) -> None:
    assert run(root, "add-crl", "Staff CA", written(tmp_path, b"no list")) == 1
    assert "no certificate revocation list" in capsys.readouterr().err
    assert run(root, "add-crl", "Staff CA", tmp_path / "missing") == 1
    assert "cannot be read" in capsys.readouterr().err


def test_removing_asks_first(root: ServerRoot, tmp_path: Path, capsys: Captured) -> None:
    run(root, "add-crl", "Staff CA", written(tmp_path, STAFF.revocation_list()))
    assert run(root, "remove-crl", "Staff CA") == 1
    assert "add --yes" in capsys.readouterr().err
    assert len(listed(root, capsys)) == 1


def test_an_altered_list_can_be_removed(root: ServerRoot, tmp_path: Path, capsys: Captured) -> None:
    run(root, "add-crl", "Staff CA", written(tmp_path, STAFF.revocation_list()))
    [found] = listed(root, capsys)
    with closing(sqlite3.connect(root.certificate_database)) as connection, connection:
        connection.execute("DELETE FROM revocation_list")
    assert run(root, "list-crls") == 1
    assert "was removed outside mailfront" in capsys.readouterr().err
    assert run(root, "remove-crl", found["id"], "--yes") == 0
    assert listed(root, capsys) == []


@pytest.fixture
def web() -> Iterator[str]:
    """A web server with the list at /list.crl, and a redirection to it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/list.crl":
                self.send_response(200)
                self.end_headers()
                self.wfile.write(STAFF.revocation_list([5]))
            else:
                self.send_response(302 if self.path == "/moved" else 404)
                self.send_header("Location", "/list.crl")
                self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nobody wants to know."""

    server = HTTPServer((LOOPBACK, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://{LOOPBACK}:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("path", ["/list.crl", "/moved"])
def test_a_url_is_fetched(root: ServerRoot, web: str, path: str, capsys: Captured) -> None:
    assert run(root, "add-crl", "Staff CA", web + path) == 0
    [found] = listed(root, capsys)
    assert found["revoked"] == 1


@pytest.mark.parametrize("address", ["/nothing", "nowhere"])
def test_a_url_that_has_no_list_is_told(
    root: ServerRoot, web: str, address: str, capsys: Captured
) -> None:
    source = web + address if address.startswith("/") else f"http://{LOOPBACK}:1/list.crl"
    assert run(root, "add-crl", "Staff CA", source) == 1
    assert "cannot be fetched" in capsys.readouterr().err
