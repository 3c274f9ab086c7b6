"""Making a server root."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest

from mailfront.authentication.password import verify
from mailfront.configuration.home import ServerRoot
from mailfront.configuration.msg_conf import load_configuration
from mailfront.directory.embedded import EmbeddedDirectory
from mailfront.errors import ConfigurationError
from mailfront.interfaces.secret import Secret
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.nicknames import INTERNAL_TOKEN
from mailfront.keystore.passwords import read_password
from mailfront.server.creation import SERVICE_NICKNAMES, create_server_root

ALICE = "alice@example.org"
BOB = "bob@example.org"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[ServerRoot, dict[str, Secret]]:
    """A demonstration server root; no test may change it."""
    root = ServerRoot(tmp_path_factory.mktemp("made") / "root")
    passwords = create_server_root(
        root, "example.org", demo=True, options={"service.imap.port": "2143"}
    )
    return root, passwords


Made = tuple[ServerRoot, dict[str, Secret]]


def nicknames(root: ServerRoot) -> set[str]:
    password = read_password(root.sslpassword_conf, INTERNAL_TOKEN)
    with InternalToken.open(root.certificate_database, password) as token:
        return {record.nickname for record in token.list() if record.has_key}


def test_the_options_are_those_that_were_asked_for(made: Made) -> None:
    root, _ = made
    assert root.is_initialised()
    configuration = load_configuration(root.msg_conf)
    assert configuration.string("service.defaultdomain") == "example.org"
    assert configuration.integer("service.imap.port") == 2143
    assert configuration.names("store.admins") == (ALICE,)
    assert configuration.names("local.imap.sslnicknames") == ("imap-cert",)


async def test_a_demonstration_has_two_users_with_random_passwords(made: Made) -> None:
    root, passwords = made
    directory = EmbeddedDirectory(root.users_ldif)
    for address in (ALICE, BOB):
        entry = await directory.entry_for_address(address)
        assert entry is not None
        assert verify(entry.password_values, passwords[address])
        assert re.fullmatch(r"(?:[a-z2-9]{4}-){3}[a-z2-9]{4}", passwords[address].reveal())
    assert passwords[ALICE] != passwords[BOB]
    lines = root.initial_passwords.read_text().splitlines()
    assert lines == [f"{address} {password.reveal()}" for address, password in passwords.items()]


def test_each_of_them_has_a_welcome_message(made: Made) -> None:
    messages = [path.read_text() for path in made[0].store_directory.rglob("*/new/*")]
    assert len(messages) == 2
    assert {ALICE, BOB} == {address for address in (ALICE, BOB) if address in "".join(messages)}


def test_each_service_has_its_certificate(made: Made) -> None:
    assert nicknames(made[0]) == {"Server-Cert", *SERVICE_NICKNAMES.values()}


def test_public_authorities_are_trusted_for_servers_only(made: Made) -> None:
    root = made[0]
    with InternalToken.open(
        root.certificate_database, read_password(root.sslpassword_conf, INTERNAL_TOKEN)
    ) as token:
        authorities = [record for record in token.list() if not record.has_key]
    assert len(authorities) > 50
    assert {record.trust.letters for record in authorities} == {"C"}


def test_what_is_secret_belongs_to_its_owner_alone(made: Made) -> None:
    root, _ = made
    for path in (root.path, root.config_directory, root.certdb_directory, root.store_directory):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700, path
    for path in (
        root.initial_passwords, root.sslpassword_conf, root.users_ldif, root.certificate_database,
    ):  # fmt: skip
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_a_server_root_is_never_made_twice(made: Made) -> None:
    with pytest.raises(ConfigurationError, match=r"is a server root already.*mailfront serve"):
        create_server_root(made[0], "example.org", demo=False)


def test_without_demonstration_there_is_one_certificate_and_no_user(tmp_path: Path) -> None:
    root = ServerRoot(tmp_path / "new" / "root")
    assert create_server_root(root, "example.org", demo=False) == {}
    assert nicknames(root) == {"Server-Cert"}
    assert not root.initial_passwords.exists()
    assert list(EmbeddedDirectory(root.users_ldif).entries()) == []


def test_a_directory_of_somebody_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(ConfigurationError, match=r"not empty \(it holds 'thesis\.tex'\)"):
        create_server_root(ServerRoot(tmp_path), "example.org", demo=False)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="is not a directory"):
        create_server_root(ServerRoot(tmp_path / "file"), "example.org", demo=False)


def test_an_interrupted_creation_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = ServerRoot(tmp_path / "root")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("mailfront.server.creation.change_options", fail)
        with pytest.raises(OSError, match="No space left"):
            create_server_root(root, "example.org", demo=True)
    assert not root.is_initialised()
    chosen = root.initial_passwords.read_text()
    create_server_root(root, "example.org", demo=True)
    assert root.is_initialised()
    assert root.initial_passwords.read_text() == chosen
    assert len(list(EmbeddedDirectory(root.users_ldif).entries())) == 2
    assert len(list(root.store_directory.rglob("*/new/*"))) == 2
