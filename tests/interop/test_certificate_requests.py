"""A certificate's life with an authority made by OpenSSL: request, answer, installation, use.

The authority is `openssl ca` (or `openssl x509 -req`) with a root and an intermediate of its own;
what msgcert writes is read by OpenSSL and NSS, what they write is installed by msgcert.
"""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mailfront.cli.msgcert import main
from mailfront.configuration.home import ServerRoot
from mailfront.keystore.formats import certificate_der, certificate_pem, chain_pem
from mailfront.keystore.internal_token import Credentials, InternalToken
from tests.support.keystores import PASSWORD, root_with_keystore
from tests.support.peers import require_program

Captured = pytest.CaptureFixture[str]
HOST = "mail.example.test"
CONFIGURATION = """\
[ca]
default_ca = authority
[authority]
dir = {directory}
database = $dir/index.txt
new_certs_dir = $dir/issued
serial = $dir/serial
default_md = sha256
default_days = 90
policy = policy
copy_extensions = copy
unique_subject = no
x509_extensions = server
[policy]
commonName = supplied
organizationName = optional
[req]
distinguished_name = none
prompt = no
[none]
[root]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature,keyEncipherment
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


def run(program: str, *arguments: str | Path, given: bytes = b"", package: str = "") -> bytes:
    path = require_program(program, package or None)
    finished = subprocess.run(
        [str(path), *map(str, arguments)],
        input=given,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr.decode()
    return finished.stdout


def openssl(*arguments: str | Path, given: bytes = b"") -> bytes:
    return run("openssl", *arguments, given=given)


def certutil(*arguments: str | Path) -> str:
    return run("certutil", *arguments, package="libnss3-tools").decode()


class Authority:
    """A root and an intermediate, in a directory, as `openssl ca` wants them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "issued").mkdir(parents=True)
        (directory / "index.txt").touch()
        (directory / "serial").write_text("1000\n")
        self.configuration = directory / "openssl.cnf"
        self.configuration.write_text(CONFIGURATION.format(directory=directory))
        self.root = self._authority("root", "/CN=Example Root", None)
        self.intermediate = self._authority("intermediate", "/CN=Example Issuer", "root")

    def _authority(self, name: str, subject: str, issuer: str | None) -> Path:
        key, request = self.directory / f"{name}.key", self.directory / f"{name}.csr"
        certificate = self.directory / f"{name}.pem"
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc")
        openssl("req", "-config", self.configuration, "-new", *curve, "-keyout", key,
                "-subj", subject, "-out", request)  # fmt: skip
        signer: tuple[str | Path, ...] = ("-key", key)
        if issuer is not None:
            signer = ("-CA", self.directory / f"{issuer}.pem",
                      "-CAkey", self.directory / f"{issuer}.key")  # fmt: skip
        openssl("x509", "-req", "-in", request, *signer, "-days", "365",
                "-extfile", self.configuration, "-extensions", "root",
                "-out", certificate)  # fmt: skip
        return certificate

    def sign(self, request: Path) -> Path:
        """Return the certificate that `openssl ca` makes of a request, by the intermediate."""
        answer = self.directory / "answer.pem"
        form = "DER" if request.suffix == ".der" else "PEM"
        as_pem = self.directory / "request.pem"
        openssl("req", "-inform", form, "-in", request, "-verify", "-out", as_pem)
        openssl("ca", "-batch", "-notext", "-config", self.configuration, "-in", as_pem,
                "-cert", self.intermediate, "-keyfile", self.directory / "intermediate.key",
                "-out", answer)  # fmt: skip
        return answer


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority") / "ca")


@pytest.fixture
def root(tmp_path: Path) -> ServerRoot:
    return root_with_keystore(tmp_path / "root")


def msgcert(root: ServerRoot, *arguments: str | Path) -> int:
    return main([str(arguments[0]), "--home", str(root.path), *map(str, arguments[1:])])


def requested(root: ServerRoot, tmp_path: Path, *options: str, suffix: str = "der") -> Path:
    request = tmp_path / f"request.{suffix}"
    form = "binary" if suffix == "der" else "ascii"
    status = msgcert(root, "request-cert", "--name", HOST, "--org", "Example",
                     "--san", f"{HOST},192.0.2.7", "-F", form, "-o", request, *options)  # fmt: skip
    assert status == 0
    return request


@pytest.mark.parametrize("suffix", ["der", "pem"])
@pytest.mark.parametrize(
    "options", [(), ("--keytype", "rsa"), ("--curve", "P-384"), ("--keytype", "ed25519")]
)
def test_openssl_verifies_the_request_and_reads_its_names(
    root: ServerRoot, tmp_path: Path, suffix: str, options: tuple[str, ...]
) -> None:
    request = requested(root, tmp_path, *options, suffix=suffix)
    text = openssl("req", "-inform", suffix, "-in", request, "-noout", "-verify", "-text",
                   "-nameopt", "RFC2253").decode()  # fmt: skip
    assert f"Subject: CN={HOST},O=Example" in text
    assert f"DNS:{HOST}, IP Address:192.0.2.7" in text


def as_pem(answer: Path, authority: Authority, tmp_path: Path) -> Path:
    return answer


def as_der(answer: Path, authority: Authority, tmp_path: Path) -> Path:
    path = tmp_path / "answer.der"
    openssl("x509", "-in", answer, "-outform", "DER", "-out", path)
    return path


def as_chain(answer: Path, authority: Authority, tmp_path: Path) -> Path:
    path = tmp_path / "fullchain.pem"
    path.write_bytes(
        authority.root.read_bytes() + authority.intermediate.read_bytes() + answer.read_bytes()
    )
    return path


def as_pkcs7_der(answer: Path, authority: Authority, tmp_path: Path) -> Path:
    return pkcs7(answer, authority, tmp_path, "DER")


def as_pkcs7_pem(answer: Path, authority: Authority, tmp_path: Path) -> Path:
    return pkcs7(answer, authority, tmp_path, "PEM")


def pkcs7(answer: Path, authority: Authority, tmp_path: Path, form: str) -> Path:
    path = tmp_path / "answer.p7b"
    chain = as_chain(answer, authority, tmp_path)
    openssl("crl2pkcs7", "-nocrl", "-certfile", chain, "-outform", form, "-out", path)
    return path


Form = Callable[[Path, Authority, Path], Path]


@pytest.mark.parametrize("suffix", ["der", "pem"])
@pytest.mark.parametrize("form", [as_pem, as_der, as_chain, as_pkcs7_der, as_pkcs7_pem])
def test_the_answer_of_openssl_ca_is_installed_in_every_form_and_verifies(
    root: ServerRoot, authority: Authority, tmp_path: Path, suffix: str, form: Form
) -> None:
    answer = authority.sign(requested(root, tmp_path, suffix=suffix))
    # Answers without chain rely on the intermediate's being known here.
    assert msgcert(root, "add-cert", "-C", "Example Issuer", authority.intermediate) == 0
    assert msgcert(root, "add-cert", "-C", "Example Root", authority.root) == 0
    assert msgcert(root, "add-cert", "imap-cert", form(answer, authority, tmp_path)) == 0
    with InternalToken.open(root.certificate_database, PASSWORD) as token:
        record = token.require("imap-cert")
        credentials = token.credentials("imap-cert")
    served = tmp_path / "served.pem"
    served.write_bytes(credentials.chain_pem)
    assert credentials.chain_pem == chain_pem([record.certificate, *record.chain])
    assert len(record.chain) == 1
    verified = openssl("verify", "-x509_strict", "-purpose", "sslserver", "-CAfile",
                       authority.root, "-untrusted", served, "-verify_hostname", HOST,
                       served)  # fmt: skip
    assert b"OK" in verified
    assert accepted_by_client(credentials, authority.root, tmp_path) == certificate_der(
        record.certificate
    )


def accepted_by_client(credentials: Credentials, root: Path, tmp_path: Path) -> bytes | None:
    path = tmp_path / "credentials.pem"
    path.write_bytes(credentials.chain_pem + credentials.key_pem)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path, password=credentials.passphrase)
    client = ssl.create_default_context(cafile=str(root))
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=HOST),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return ends[0].getpeercert(binary_form=True)


def test_openssl_x509_signs_the_request_too(
    root: ServerRoot, authority: Authority, tmp_path: Path
) -> None:
    request = requested(root, tmp_path, "--keytype", "rsa", suffix="pem")
    answer = tmp_path / "answer.pem"
    openssl("x509", "-req", "-in", request, "-CA", authority.root,
            "-CAkey", authority.directory / "root.key", "-days", "90",
            "-copy_extensions", "copy", "-out", answer)  # fmt: skip
    assert msgcert(root, "add-cert", HOST, answer) == 0
    verified = openssl("verify", "-CAfile", authority.root, "-verify_hostname", HOST, answer)
    assert b"OK" in verified


def test_a_renewed_certificate_for_the_same_key_takes_the_place_of_the_former(
    root: ServerRoot, authority: Authority, tmp_path: Path
) -> None:
    request = requested(root, tmp_path)
    first = as_chain(authority.sign(request), authority, tmp_path)
    assert msgcert(root, "add-cert", "imap-cert", first) == 0
    serials = [serial_of(root)]
    renewed = as_pkcs7_der(authority.sign(request), authority, tmp_path)
    assert msgcert(root, "renew-cert", "imap-cert", renewed) == 0
    serials.append(serial_of(root))
    assert len(set(serials)) == 2


def serial_of(root: ServerRoot) -> int:
    with InternalToken.open(root.certificate_database, PASSWORD) as token:
        return token.require("imap-cert").certificate.serial_number


def test_a_renewal_with_a_new_key_that_openssl_made(
    root: ServerRoot, authority: Authority, tmp_path: Path
) -> None:
    answer = as_chain(authority.sign(requested(root, tmp_path)), authority, tmp_path)
    assert msgcert(root, "add-cert", "imap-cert", answer) == 0
    before = serial_of(root)
    key, request = tmp_path / "new.key", tmp_path / "new.pem"
    openssl("req", "-new", "-newkey", "rsa:2048", "-noenc", "-keyout", key, "-out", request,
            "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}")  # fmt: skip
    renewed = as_chain(authority.sign(request), authority, tmp_path)
    assert msgcert(root, "renew-cert", "imap-cert", renewed, "--key", key) == 0
    bundle, password = tmp_path / "new.p12", tmp_path / "password"
    password.write_text("secret\n")
    password.chmod(0o600)
    again = authority.sign(request)
    openssl("pkcs12", "-export", "-in", again, "-inkey", key, "-certfile", authority.intermediate,
            "-passout", f"file:{password}", "-out", bundle)  # fmt: skip
    between = serial_of(root)
    assert msgcert(root, "renew-cert", "imap-cert", bundle, "-I", password) == 0
    assert len({before, between, serial_of(root)}) == 3


def test_nss_reads_and_verifies_what_is_installed(
    root: ServerRoot, authority: Authority, tmp_path: Path
) -> None:
    answer = as_chain(authority.sign(requested(root, tmp_path)), authority, tmp_path)
    assert msgcert(root, "add-cert", "imap-cert", answer) == 0
    assert msgcert(root, "add-cert", "-C", "Example Root", authority.root) == 0
    with InternalToken.open(root.certificate_database, PASSWORD) as token:
        record, trusted = token.require("imap-cert"), token.require("Example Root")
    database = tmp_path / "nss"
    database.mkdir()
    certutil("-N", "-d", f"sql:{database}", "--empty-password")
    for nickname, trust, certificate in (
        ("Example Root", "C,,", trusted.certificate),
        ("Example Issuer", ",,", record.chain[0]),
        ("imap-cert", ",,", record.certificate),
    ):
        file = tmp_path / "certificate.pem"
        file.write_bytes(certificate_pem(certificate))
        certutil("-A", "-d", f"sql:{database}", "-n", nickname, "-t", trust, "-a", "-i", file)
    listed = certutil("-L", "-d", f"sql:{database}", "-n", "imap-cert")
    assert f"CN={HOST}" in listed
    assert record.sha256.replace(":", "") in "".join(listed.split()).replace(":", "")
    assert "certificate is valid" in certutil(
        "-V", "-d", f"sql:{database}", "-n", "imap-cert", "-u", "V", "-e"
    )


def test_nss_signs_our_request(root: ServerRoot, tmp_path: Path) -> None:
    """An authority kept in an NSS database, as operators of the original had one."""
    database, noise = tmp_path / "nss", tmp_path / "noise"
    database.mkdir()
    noise.write_bytes(bytes(range(256)))
    where = ("-d", f"sql:{database}")
    certutil("-N", *where, "--empty-password")
    certutil("-S", *where, "-n", "ca", "-s", "CN=Example NSS CA", "-x", "-t", "CT,,", "-v", "12",
             "-m", "1", "-z", noise, "-g", "2048", "--keyUsage",
             "certSigning,crlSigning,critical")  # fmt: skip
    forms: tuple[tuple[str, str, tuple[str, ...]], ...] = (("der", "2", ()), ("pem", "3", ("-a",)))
    for suffix, serial, flags in forms:
        request = requested(root, tmp_path, "--alias", f"{suffix}-cert", suffix=suffix)
        answer = tmp_path / f"answer.{suffix}"
        certutil("-C", *where, "-c", "ca", "-i", request, "-o", answer,
                 "-m", serial, "-v", "3", *flags)  # fmt: skip
        assert msgcert(root, "add-cert", f"{suffix}-cert", answer) == 0
