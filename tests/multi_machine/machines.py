"""The machines of the show: a directory, a shared store, two mail stores, two front ends.

Each class writes the configuration of a real program for its address and starts it there. All
connections between machines are TLS, under one CA.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.multi_machine.network import Network, end
from tests.support.issuing import Issuer, certificate_pem_file, key_pem_file
from tests.support.peers import require_program
from tests.support.redis import SITE_SECRET
from tests.support.server import make_server_root, run_command
from tests.support.slapd import MANAGER, PEOPLE, READER, READER_PASSWORD, SCHEMA, SUFFIX, tree
from tests.support.slapd import user as user_entry

_UNPRIVILEGED = 65534
_STORE_PASSWORD = "of-the-shared-store"


@dataclass(frozen=True)
class Person:
    """Who has mail, and on which store (by address)."""

    uid: str
    password: str
    store: str

    @property
    def address(self) -> str:
        """The mail address."""
        return f"{self.uid}@example.test"


class Machine:
    """One machine with one program; its files are in `home`."""

    def __init__(self, network: Network, name: str, number: int, home: Path) -> None:
        self.name = name
        self.network = network
        self.home = home / name
        self.home.mkdir()
        self.home.chmod(0o755)
        self.address = network.add(name, number)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """What the program says."""
        return self.home / "output"

    def certify(self, issuer: Issuer) -> tuple[Path, Path]:
        """A certificate for the address, and its key."""
        issued = issuer.issue(self.address)
        certificate = certificate_pem_file(self.home / "server.pem", issued.chain)
        return certificate, key_pem_file(self.home / "server.key", issued.key)

    def start(self, *command: str | Path) -> None:
        """Start the program."""
        self.process = self.network.start(self.name, command, self.log)

    def kill(self) -> None:
        """End the program as a crash would."""
        assert self.process is not None
        end(self.process, signal.SIGKILL)


def start_directory(machine: Machine, people: list[Person], issuer: Issuer) -> None:
    """slapd with the people, each with a mailHost."""
    home, (certificate, key) = machine.home, machine.certify(issuer)
    (home / "data").mkdir()
    schemas = "".join(
        f"include /etc/ldap/schema/{name}.schema\n"
        for name in ("core", "cosine", "inetorgperson", "misc")
    )
    (home / "slapd.conf").write_text(
        f"""{schemas}include {SCHEMA}
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {home}/slapd.pid
TLSCertificateFile {certificate}
TLSCertificateKeyFile {key}
TLSVerifyClient never
database mdb
suffix "{SUFFIX}"
rootdn "{MANAGER}"
rootpw manager
directory {home}/data
index objectClass,uid,mail,mailAlternateAddress,mailEquivalentAddress eq
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{READER}" read by * none
"""
    )
    with (home / "users.ldif").open("wb") as ldif:
        ldif.write(tree())
        ldif.writelines(user_entry(each.uid, each.password, mailHost=each.store) for each in people)
    subprocess.run(
        [require_program("slapadd", "slapd"), "-q", "-f", home / "slapd.conf",
         "-l", home / "users.ldif"],
        check=True, timeout=60, capture_output=True,
    )  # fmt: skip
    url = f"ldaps://{machine.address}"
    machine.start(require_program("slapd"), "-d", "0", "-h", url, "-f", home / "slapd.conf")


def start_shared_store(machine: Machine, issuer: Issuer) -> str:
    """Valkey, or Redis where that is not installed; return which."""
    certificate, key = machine.certify(issuer)
    path = machine.home / "store.conf"
    path.touch(mode=0o600)
    path.write_text(
        f"bind {machine.address}\nport 0\ntls-port 6379\ntls-cert-file {certificate}\n"
        f"tls-key-file {key}\ntls-auth-clients no\nrequirepass {_STORE_PASSWORD}\n"
        f'save ""\nappendonly no\ndir {machine.home}\n'
    )
    valkey = Path("/usr/bin/valkey-server")
    program = valkey if valkey.exists() else require_program("redis-server")
    machine.start(program, path)
    return program.name


def start_mail_store(machine: Machine, people: list[Person], issuer: Issuer) -> None:
    """Dovecot with the mailboxes of those who have theirs there."""
    home, (certificate, key) = machine.home, machine.certify(issuer)
    held = [each for each in people if each.store == machine.address]
    (home / "users").write_text(
        "".join(f"{each.address}:{{PLAIN}}{each.password}\n" for each in held)
    )
    for each in held:
        for name in ("new", "cur", "tmp"):
            (home / "mail" / each.address / name).mkdir(parents=True)
        message = f"From: <x@example.org>\r\nSubject: held by {machine.name}\r\n\r\nA line.\r\n"
        (home / "mail" / each.address / "new" / "1.test").write_bytes(message.encode())
    subprocess.run(
        ["chown", "-R", f"{_UNPRIVILEGED}:{_UNPRIVILEGED}", home / "mail"], check=True, timeout=60
    )
    (home / "dovecot.conf").write_text(
        f"""base_dir = {home}/run
log_path = {home}/dovecot.log
protocols = imap
listen = {machine.address}
ssl = required
ssl_cert = <{certificate}
ssl_key = <{key}
login_trusted_networks = 10.77.0.0/24
auth_mechanisms = plain login
mail_location = maildir:{home}/mail/%u
mail_uid = {_UNPRIVILEGED}
mail_gid = {_UNPRIVILEGED}
mail_max_userip_connections = 1000
first_valid_uid = 1
first_valid_gid = 1
default_internal_user = nobody
default_login_user = nobody
default_internal_group = nogroup
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = 993
  }}
}}
passdb {{
  driver = passwd-file
  args = {home}/users
}}
userdb {{
  driver = static
  args = home={home}/mail/%u
}}
"""
    )
    program = require_program("dovecot", "dovecot-imapd")
    machine.start(program, "-F", "-c", home / "dovecot.conf")


def make_front_end_root(path: Path, directory: str, shared_store: str, issuer: Issuer) -> None:
    """A server root that all front ends are copies of: same certificates, same options."""
    make_server_root(path)
    root = certificate_pem_file(path.with_name("root.pem"), [issuer.root])
    _run("msgcert", path, "add-cert", "-C", "site-ca", str(root))
    secrets: Mapping[str, str] = {
        "ldappassword": READER_PASSWORD,
        "site.secret": SITE_SECRET,
        "sharedstore.password": _STORE_PASSWORD,
    }
    for name, secret in secrets.items():
        file = path / "config" / name
        file.touch(mode=0o600)
        file.write_text(secret + "\n")
    options = {
        "local.ugldapbasedn": PEOPLE,
        "local.ugldapbinddn": READER,
        "local.ugldaphost": f"ldaps://{directory}",
        "service.imap.mailhosturl": "imaps://%h",
        "local.sharedstore.url": f"rediss://default@{shared_store}:6379",
        "local.ssl.ticketkeystore": "shared",
        "service.throttlestore": "shared",
        "service.connectionsperaddress": "1000",
        "service.http.enable": "no",
        "service.pop.enable": "no",
    }
    for name, value in options.items():
        _run("configutil", path, "-o", name, "-v", value)


def start_front_end(machine: Machine) -> None:
    """`mailfront serve` on the machine's server root."""
    _run("configutil", machine.home / "root", "-o", "service.listenaddr", "-v", machine.address)
    program = Path(sys.executable).with_name("mailfront")
    machine.start(program, "serve", "--home", machine.home / "root")


def _run(program: str, home: Path, *arguments: str) -> None:
    done = run_command(program, "--home", str(home), *arguments)
    assert done.returncode == 0, done.stderr
