"""Tokens of other makers, and tools of others on ours: whose objects they are makes no difference.

SoftHSM with OpenSC's `pkcs11-tool` and NSS's `certutil`; a TPM 2.0 (swtpm, tpm2-pkcs11); NSS's own
softoken, which p11-kit initialises. Every msgcert is a process of its own, as in life.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509

from mailfront.configuration.home import ServerRoot
from mailfront.interfaces.secret import Secret
from mailfront.keystore.formats import certificate_der
from mailfront.keystore.passwords import write_password
from mailfront.keystore.pkcs11.modules import Module, changing_modules
from mailfront.keystore.pkcs11.public_keys import key_identifier, servable
from tests.support.issuing import Issuer, certificate_pem_file
from tests.support.keystores import password_file, root_with_keystore, self_signed
from tests.support.nss import NssDatabase
from tests.support.peers import require_program
from tests.support.softhsm import SoftHsm
from tests.support.software_tpm import SoftwareTpm

TOKEN = "HSM One"
NSS_TOKEN = "NSS Certificate DB"
PROTECTED = "sensitive, always sensitive, never extractable, local"
KEYS = {"ec": ("--keytype", "ec"), "rsa": ("--keytype", "rsa")}
_DEADLINE = 60


@dataclass
class Msgcert:
    """Runs msgcert on a server root, as processes that see the tokens by their environment."""

    root: ServerRoot
    environment: dict[str, str]
    prefix: tuple[str, ...] = ()
    afterwards: Callable[[], None] = lambda: None

    def __call__(self, *arguments: object, status: int = 0) -> tuple[str, str]:
        command = [sys.executable, "-m", "mailfront.cli.msgcert", "--home", str(self.root.path)]
        finished = subprocess.run(
            [*self.prefix, *command, *map(str, arguments)],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_DEADLINE,
            check=False,
        )
        assert finished.returncode == status, finished.stdout + finished.stderr
        self.afterwards()
        return finished.stdout, finished.stderr

    def listed(self, token: str) -> dict[str, dict[str, object]]:
        printed, _ = self("list-certs", "--token", token, "--json")
        return {one["alias"]: one for one in json.loads(printed)}


@pytest.fixture
def root(tmp_path: Path) -> ServerRoot:
    return root_with_keystore(tmp_path / "root")


@pytest.fixture
def hsm(tmp_path: Path) -> SoftHsm:
    hsm = SoftHsm(tmp_path / "hsm")
    hsm.new_token(TOKEN)
    return hsm


@pytest.fixture
def msgcert(root: ServerRoot, hsm: SoftHsm) -> Msgcert:
    hsm.install_into(root)
    return Msgcert(root, hsm.environment)


def openssl(*arguments: object) -> str:
    program = str(require_program("openssl"))
    finished = subprocess.run(
        [program, *map(str, arguments)], capture_output=True, text=True, timeout=30, check=False
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout + finished.stderr


def objects_in(printed: str) -> list[dict[str, str]]:
    """What pkcs11-tool printed: each object's first line as `kind`, and its fields."""
    found: list[dict[str, str]] = []
    for line in printed.splitlines():
        if line and not line.startswith(" "):
            found.append({"kind": line})
        elif ":" in line:
            name, _, value = line.partition(":")
            found[-1][name.strip()] = value.strip()
    return [one for one in found if " Object; " in one["kind"]]


@pytest.mark.parametrize("kind", KEYS)
def test_pkcs11_tool_sees_what_we_made(msgcert: Msgcert, hsm: SoftHsm, kind: str) -> None:
    name = ("--name", "mail.example.test")
    msgcert("add-selfsign-cert", f"{TOKEN}:ours", *name, *KEYS[kind])
    objects = {one["kind"].split(" Object")[0]: one for one in objects_in(
        hsm.pkcs11_tool(TOKEN, "--list-objects"))}  # fmt: skip
    assert set(objects) == {"Private Key", "Public Key", "Certificate"}
    assert objects["Private Key"]["Access"] == PROTECTED
    assert objects["Private Key"]["Usage"] == "sign"
    assert len({one["ID"] for one in objects.values()}) == 1
    assert {one["label"] for one in objects.values()} == {"ours"}


@pytest.mark.parametrize("kind", KEYS)
def test_a_life_with_an_authority(
    msgcert: Msgcert, hsm: SoftHsm, kind: str, tmp_path: Path
) -> None:
    csr = tmp_path / "mail.csr"
    wanted = ("--name", "mail.example.test", "--alias", "imap", "-F", "ascii", "-o", csr)
    _, told = msgcert("request-cert", "--token", TOKEN, *wanted, *KEYS[kind])
    assert f"the token says of the key: {PROTECTED}" in told
    assert "verify OK" in openssl("req", "-verify", "-noout", "-in", csr)
    assert msgcert.listed(TOKEN)["imap"]["state"] == "pending"

    issuer = Issuer()
    answer = answered(issuer, csr, tmp_path / "answer.pem")
    _, told = msgcert("add-cert", f"{TOKEN}:imap", answer)
    assert f"installed {TOKEN}:imap" in told
    facts = msgcert.listed(TOKEN)["imap"]
    assert facts["token"] == TOKEN
    assert facts["chain"] == ["CN=Example Issuing CA"]
    labels = {one["label"] for one in objects_in(hsm.pkcs11_tool(TOKEN, "--list-objects"))}
    assert labels == {"imap", "Example Issuing CA"}

    renewed = answered(issuer, csr, tmp_path / "renewed.pem")
    _, told = msgcert("renew-cert", f"{TOKEN}:imap", renewed)
    assert f"renewed {TOKEN}:imap" in told
    assert msgcert.listed(TOKEN)["imap"]["sha256"] != facts["sha256"]
    _, told = msgcert("export-cert", f"{TOKEN}:imap", status=1)
    assert "not extractable" in told

    msgcert("remove-cert", "--yes", f"{TOKEN}:imap")
    assert [one["label"] for one in objects_in(hsm.pkcs11_tool(TOKEN, "--list-objects"))] == [
        "Example Issuing CA"
    ]


def answered(issuer: Issuer, csr: Path, file: Path) -> Path:
    request = x509.load_pem_x509_csr(csr.read_bytes())

    class _Requested:
        """The key of the request, as far as the issuer needs it."""

        def public_key(self) -> object:
            return request.public_key()

    issued = issuer.issue("mail.example.test", key=_Requested())  # type: ignore[arg-type]
    return certificate_pem_file(file, issued.chain)


def test_a_certificate_in_the_database_may_have_its_key_on_the_token(
    msgcert: Msgcert, tmp_path: Path
) -> None:
    csr = tmp_path / "mail.csr"
    wanted = ("--name", "mail.example.test", "--alias", "key", "-F", "ascii", "-o", csr)
    msgcert("request-cert", "--token", TOKEN, *wanted)
    issuer = Issuer()
    answer = answered(issuer, csr, tmp_path / "answer.pem")
    _, told = msgcert("add-cert", "imap-cert", answer)
    assert f"its key is on the token '{TOKEN}', as key, and stays there" in told
    printed, _ = msgcert("list-certs")
    assert "EC P-256, on token" in printed
    printed, _ = msgcert("show-cert", "imap-cert")
    assert f"on the token {TOKEN}, as key" in printed
    assert msgcert.listed(TOKEN) == {}
    _, told = msgcert("remove-cert", "--yes", f"{TOKEN}:key", status=1)
    assert "private key of 'imap-cert' in the certificate database" in told
    _, told = msgcert("export-cert", "imap-cert", status=1)
    assert "on a PKCS#11 token and stays there" in told
    msgcert("renew-cert", "imap-cert", answered(issuer, csr, tmp_path / "renewed.pem"))
    facts = json.loads(msgcert("show-cert", "--json", "imap-cert")[0])
    assert facts["key_on_other_token"] is True
    msgcert("remove-cert", "--yes", "imap-cert")
    assert msgcert.listed(TOKEN)["key"]["state"] == "pending"


@pytest.mark.parametrize("kind", KEYS)
def test_a_pkcs12_file_of_openssl_is_imported(
    msgcert: Msgcert, hsm: SoftHsm, kind: str, tmp_path: Path
) -> None:
    key, certificate, p12 = (tmp_path / name for name in ("key.pem", "cert.pem", "mail.p12"))
    algorithm = ("rsa:2048",) if kind == "rsa" else ("ec", "-pkeyopt", "ec_paramgen_curve:P-384")
    openssl("req", "-x509", "-newkey", *algorithm, "-noenc", "-keyout", key, "-out", certificate,
            "-subj", "/CN=mail.example.test")  # fmt: skip
    password = password_file(tmp_path / "p12.password")
    openssl("pkcs12", "-export", "-inkey", key, "-in", certificate, "-out", p12, "-name", "smtp",
            "-passout", f"file:{password}")  # fmt: skip
    _, told = msgcert("import-cert", "--token", TOKEN, "-I", password, p12)
    assert f"imported {TOKEN}:smtp" in told
    facts = json.loads(msgcert("show-cert", "--json", f"{TOKEN}:smtp")[0])
    assert (facts["sensitive"], facts["extractable"], facts["local"]) == (True, False, False)
    (private,) = (
        one
        for one in objects_in(hsm.pkcs11_tool(TOKEN, "--list-objects"))
        if one["kind"].startswith("Private")
    )
    assert (private["Access"], private["Usage"]) == ("sensitive", "sign")


# Not secp384r1: pkcs11-tool 0.23 makes such keys and fails to read their public halves.
@pytest.mark.parametrize("kind", ["EC:prime256v1", "rsa:2048"])
@pytest.mark.parametrize("identifier", [("--id", "01ab"), ()], ids=["id", "no id"])
def test_we_see_what_pkcs11_tool_made(
    msgcert: Msgcert, hsm: SoftHsm, kind: str, identifier: tuple[str, ...], tmp_path: Path
) -> None:
    make = ("--keypairgen", "--key-type", kind, "--label", "theirs")
    hsm.pkcs11_tool(TOKEN, *make, *identifier)
    assert msgcert.listed(TOKEN)["theirs"]["state"] == "pending"
    # The authority gets the public key, as pkcs11-tool reads it.
    public = tmp_path / "public.der"
    read = ("--read-object", "--type", "pubkey", "--label", "theirs", "--output-file", public)
    hsm.pkcs11_tool(TOKEN, *read)
    key, unsigned, certificate = (tmp_path / name for name in ("ca.pem", "ca.crt", "mail.crt"))
    openssl("req", "-x509", "-newkey", "rsa:2048", "-noenc", "-keyout", key, "-out", unsigned,
            "-subj", "/CN=Their CA")  # fmt: skip
    openssl("x509", "-new", "-force_pubkey", public, "-CA", unsigned, "-CAkey", key, "-subj",
            "/CN=mail.example.test", "-outform", "DER", "-out", certificate)  # fmt: skip
    write = ("--write-object", certificate, "--type", "cert", "--label", "theirs")
    hsm.pkcs11_tool(TOKEN, *write, *identifier)
    facts = msgcert.listed(TOKEN)["theirs"]
    assert facts["has_key"] is True
    assert facts["subject"] == "CN=mail.example.test"


@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_certutil_and_msgcert_see_each_others_objects(
    msgcert: Msgcert, hsm: SoftHsm, kind: str, tmp_path: Path
) -> None:
    database = NssDatabase(tmp_path / "nss")
    add = ("-add", "softhsm", "-libfile", str(hsm.library), "-force")
    run("modutil", "-dbdir", f"sql:{database.directory}", *add, environment=hsm.environment)
    pin = password_file(tmp_path / "pin", hsm.pins[TOKEN])
    noise = tmp_path / "noise"
    noise.write_bytes(os.urandom(512))
    on_token = ("-d", f"sql:{database.directory}", "-h", TOKEN, "-f", pin)
    form = ("-k", "ec", "-q", "nistp256") if kind == "ec" else ("-k", "rsa", "-g", "2048")
    run("certutil", "-S", *on_token, "-n", "theirs", "-s", "CN=theirs.example.test", "-x", "-t",
        "u,u,u", *form, "-z", str(noise), "-m", "1", environment=hsm.environment)  # fmt: skip

    theirs = json.loads(msgcert("show-cert", "--json", f"{TOKEN}:theirs")[0])
    assert theirs["has_key"] is True
    printed = msgcert("show-cert", "-F", "ascii", f"{TOKEN}:theirs")[0]
    public_key = servable(x509.load_pem_x509_certificate(printed.encode()).public_key())
    assert public_key is not None
    # Our way of deriving the identifier is NSS's.
    assert theirs["id"] == theirs["key_id"] == key_identifier(public_key).hex()

    msgcert("add-selfsign-cert", f"{TOKEN}:ours", "--name", "mail.example.test", *KEYS[kind])
    listed = run("certutil", "-L", *on_token, environment=hsm.environment)
    for name in (f"{TOKEN}:theirs", f"{TOKEN}:ours"):
        assert name in listed
    assert listed.count("u,u,u") == 2
    assert "ours" in run("certutil", "-K", *on_token, environment=hsm.environment)


def run(program: str, *arguments: str, environment: dict[str, str]) -> str:
    finished = subprocess.run(
        [str(require_program(program, "libnss3-tools")), *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_DEADLINE,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


def test_objects_that_make_no_sense_hide_nothing(
    msgcert: Msgcert, hsm: SoftHsm, tmp_path: Path
) -> None:
    _, certificate = self_signed()
    for name, content in (("good", certificate_der(certificate)), ("data", b"x" * 999)):
        (tmp_path / name).write_bytes(content)
    good = tmp_path / "good"
    for number, label in enumerate(("good", "odd\nlabel", "a,b:c", "", "ümlaut ☃"), start=1):
        write = ("--write-object", good, "--type", "cert", "--id", f"{number:02x}")
        hsm.pkcs11_tool(TOKEN, *write, *(("--label", label) if label else ()))
    data = tmp_path / "data"
    hsm.pkcs11_tool(TOKEN, "--write-object", data, "--type", "data", "--label", "data")
    hsm.pkcs11_tool(TOKEN, "--keygen", "--key-type", "AES:32", "--label", "aes")
    printed, _ = msgcert("list-certs", "--token", TOKEN, "-C", "--json")
    names = {one["alias"] for one in json.loads(printed)}
    assert names == {"good", "odd label", "a-b-c", "04", "ümlaut ☃"}


def test_a_label_of_two_certificates_is_refused_with_their_ids(
    msgcert: Msgcert, hsm: SoftHsm, tmp_path: Path
) -> None:
    for identifier in ("0a", "0b"):
        file = tmp_path / identifier
        file.write_bytes(certificate_der(self_signed()[1]))
        write = ("--write-object", file, "--type", "cert", "--label", "imap", "--id", identifier)
        hsm.pkcs11_tool(TOKEN, *write)
    _, told = msgcert("show-cert", f"{TOKEN}:imap", status=1)
    assert "2 objects" in told
    assert "0a" in told
    assert "0b" in told


def test_no_pin_and_no_key_is_in_arguments_logs_or_files(
    msgcert: Msgcert, hsm: SoftHsm, tmp_path: Path
) -> None:
    pin = hsm.pins[TOKEN].reveal()
    own = password_file(tmp_path / "pin", hsm.pins[TOKEN])
    calls = (
        ("add-selfsign-cert", f"{TOKEN}:a", "--name", "mail.example.test"),
        ("add-selfsign-cert", f"{TOKEN}:b", "--name", "mail.example.test", "-W", own),
        ("list-certs", "--token", TOKEN, "--json"),
    )
    for call in calls:
        assert pin not in "".join(msgcert(*call))
    wrong = password_file(tmp_path / "wrong", Secret("not the pin"))
    _, told = msgcert("list-certs", "--token", TOKEN, "-W", wrong, status=1)
    assert "refuses the PIN" in told
    assert "not the pin" not in told
    for file in msgcert.root.path.rglob("*"):
        if file.is_file():
            assert file == msgcert.root.sslpassword_conf or pin.encode() not in file.read_bytes()
            assert not file.stat().st_mode & 0o077


class TestTpm:
    """A TPM 2.0 as a token: swtpm behind tpm2-pkcs11."""

    @pytest.fixture
    def msgcert(self, root: ServerRoot, tmp_path: Path) -> Iterator[Msgcert]:
        with SoftwareTpm(tmp_path / "tpm") as tpm:
            pin = tpm.new_token("TPM One")
            with changing_modules(root) as modules:
                modules.add(Module("tpm", tpm.library))
            write_password(root.sslpassword_conf, "TPM One", pin)
            yield Msgcert(root, tpm.environment, afterwards=tpm.flush)

    @pytest.mark.parametrize("kind", KEYS)
    def test_a_certificate_lives_in_the_tpm(self, msgcert: Msgcert, kind: str) -> None:
        name = ("--name", "mail.example.test")
        _, told = msgcert("add-selfsign-cert", "TPM One:imap", *name, *KEYS[kind])
        assert PROTECTED in told
        facts = json.loads(msgcert("show-cert", "--json", "TPM One:imap")[0])
        assert facts["has_key"] is True
        assert facts["never_extractable"] is True
        msgcert("remove-cert", "--yes", "TPM One:imap")
        assert msgcert.listed("TPM One") == {}


class TestSoftoken:
    """NSS's own token as a module of ours: p11-kit hands it the database's directory."""

    @pytest.fixture
    def database(self, tmp_path: Path) -> NssDatabase:
        return NssDatabase(tmp_path / "nss")

    @pytest.fixture
    def msgcert(self, root: ServerRoot, database: NssDatabase, tmp_path: Path) -> Msgcert:
        proxy, softoken = map(library, ("p11-kit-proxy.so", "libsoftokn3.so"))
        configuration = tmp_path / "home" / ".config" / "pkcs11"
        (configuration / "modules").mkdir(parents=True)
        (configuration / "pkcs11.conf").write_text("user-config: only\n")
        (configuration / "modules" / "nss.module").write_text(
            f"module: {softoken}\n"
            f"x-init-reserved: configdir='sql:{database.directory}' certPrefix='' keyPrefix='' "
            "secmod='secmod.db' flags=\n"
        )
        with changing_modules(root) as modules:
            modules.add(Module("nss", proxy))
        password = Secret(database.password_file.read_text().strip())
        write_password(root.sslpassword_conf, NSS_TOKEN, password)
        environment = {**os.environ, "HOME": str(tmp_path / "home")}
        environment.pop("XDG_CONFIG_HOME", None)
        return Msgcert(root, environment, without_root())

    @pytest.mark.parametrize("kind", ["ec", "rsa"])
    def test_certutil_and_msgcert_share_a_database(
        self, msgcert: Msgcert, database: NssDatabase, kind: str
    ) -> None:
        database.self_signed("theirs", key_type=kind)
        assert msgcert.listed(NSS_TOKEN)["theirs"]["has_key"] is True
        name = ("--name", "mail.example.test")
        msgcert("add-selfsign-cert", f"{NSS_TOKEN}:ours", *name, *KEYS[kind])
        lines = database.certutil("-L").splitlines()
        (ours,) = (line for line in lines if line.startswith("ours"))
        assert ours.endswith("u,u,u")
        msgcert("remove-cert", "--yes", f"{NSS_TOKEN}:theirs")
        assert set(msgcert.listed(NSS_TOKEN)) == {"ours"}


def library(name: str) -> Path:
    """Return a library of Debian's multiarch directory, or skip the test."""
    found = next(iter(sorted(Path("/usr/lib").glob(f"*-linux-gnu/{name}"))), None)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def without_root() -> tuple[str, ...]:
    """Return what makes p11-kit read the configuration in HOME, which it ignores for root."""
    if os.getuid() != 0:
        return ()
    prefix = (str(require_program("unshare", "util-linux")), "--user")
    if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("p11-kit ignores the configuration in HOME for root, and unshare is refused")
    return prefix
