"""Every problem of a server root, found in one pass."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mailfront.configuration.home import ServerRoot
from mailfront.configuration.msg_conf import change_options, set_option
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.nicknames import INTERNAL_TOKEN
from mailfront.keystore.passwords import write_password
from mailfront.listener.sockets import bind
from mailfront.server.checking import check_server_root
from tests.support.keystores import PASSWORD, new_token, self_signed
from tests.support.ports import LOOPBACK, free_ports
from tests.support.server import PORT_OPTIONS


@pytest.fixture
def root(server_root_template: Path, tmp_path: Path) -> ServerRoot:
    """A sound server root on free ports, over a keystore that is cheap to open."""
    root = ServerRoot(tmp_path / "root")
    shutil.copytree(server_root_template, root.path)
    shutil.rmtree(root.certdb_directory)
    root.certdb_directory.mkdir(mode=0o700)
    write_password(root.sslpassword_conf, INTERNAL_TOKEN, PASSWORD)
    with new_token(root.path) as token:
        for nickname in ("Server-Cert", "smtp-cert", "imap-cert", "pop-cert", "http-cert"):
            add(token, nickname)
    ports = zip(PORT_OPTIONS.values(), free_ports(len(PORT_OPTIONS)), strict=True)
    change_options(
        root.msg_conf,
        {name: str(port) for name, port in ports}
        | {"service.listenaddr": LOOPBACK, "service.http.port": "0"},
    )
    return root


def add(token: InternalToken, nickname: str, *, age: int = 0) -> None:
    key, certificate = self_signed(now=datetime.now(UTC) - timedelta(days=age))
    token.add_key_and_certificate(nickname, key, (certificate,))


def problems(root: ServerRoot) -> list[str]:
    return check_server_root(root).problems


def test_a_sound_server_root_has_no_problem(root: ServerRoot) -> None:
    findings = check_server_root(root)
    assert findings.problems == []
    assert findings.warnings == []


def test_all_problems_are_found_in_one_pass(root: ServerRoot) -> None:
    root.users_ldif.write_text("not ldif\n")
    root.users_ldif.chmod(0o600)
    root.store_directory.chmod(0o755)
    set_option(root.msg_conf, "local.pop.sslnicknames", "pop-cret")
    found = "\n".join(problems(root))
    assert str(root.users_ldif) in found
    assert f"{root.store_directory}: others may use it (mode 0755): chmod 700" in found
    assert "pop-cret" in found


def test_a_problem_of_an_option_names_file_and_line(root: ServerRoot) -> None:
    set_option(root.msg_conf, "local.pop.sslnicknames", "pop-cret")
    [problem] = problems(root)
    lines = root.msg_conf.read_text().splitlines()
    number = lines.index("local.pop.sslnicknames = pop-cret") + 1
    assert problem.startswith(f"{root.msg_conf}:{number}: local.pop.sslnicknames = pop-cret: ")
    assert "pop-cert" in problem


def test_a_problem_of_a_tls_policy_names_file_and_line(root: ServerRoot) -> None:
    set_option(root.msg_conf, "local.pop.tlsminversion", "TLSv1.0")
    [problem] = problems(root)
    number = root.msg_conf.read_text().splitlines().index("local.pop.tlsminversion = TLSv1.0") + 1
    assert problem.startswith(f"{root.msg_conf}:{number}: local.pop.tlsminversion = TLSv1.0: ")
    assert "only the profile legacy may" in problem


def test_a_suite_that_is_refused_is_a_warning(root: ServerRoot) -> None:
    ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256,rsa_rc4_128_md5"
    set_option(root.msg_conf, "local.imap.nsssl3ciphers", ciphers)
    findings = check_server_root(root)
    assert findings.problems == []
    assert findings.warnings == ["imap: rsa_rc4_128_md5 is refused: must not: RC4 (RFC 7465)"]


def test_every_wrong_option_is_told(root: ServerRoot) -> None:
    with root.msg_conf.open("a") as stream:
        stream.write("service.imap.prot = 1\nservice.pop.port = many\n")
    found = problems(root)
    assert len(found) == 2
    assert "service.imap.port" in found[0]


@pytest.mark.parametrize("mode", [0o644, 0o660])
def test_a_keystore_that_others_may_use_is_a_problem(root: ServerRoot, mode: int) -> None:
    root.certificate_database.chmod(mode)
    assert any("chmod 600" in problem for problem in problems(root))


def test_a_wrong_token_password_is_a_problem(root: ServerRoot) -> None:
    root.sslpassword_conf.write_text(f"{INTERNAL_TOKEN}:some other long password\n")
    assert any("password does not open" in problem for problem in problems(root))


def test_a_certificate_that_expires_soon_is_a_warning(root: ServerRoot) -> None:
    with InternalToken.open(root.certificate_database, PASSWORD) as token:
        token.remove("pop-cert")
        add(token, "pop-cert", age=80)
        token.remove("imap-cert")
        add(token, "imap-cert", age=100)
    findings = check_server_root(root)
    assert findings.problems == []
    warnings = "\n".join(findings.warnings)
    assert "local.pop.sslnicknames: pop-cert expires in 9 days; renew it" in warnings
    assert "local.imap.sslnicknames: imap-cert expired" in warnings


def test_a_port_in_use_is_a_problem_with_its_option(root: ServerRoot) -> None:
    with bind(LOOPBACK, 0, option="", client_speaks_first=False) as occupant:
        set_option(root.msg_conf, "service.imap.port", str(occupant.getsockname()[1]))
        [problem] = problems(root)
    assert problem.startswith(f"{root.msg_conf}:")
    assert "the port is in use" in problem
    assert "service.imap.port" in problem


def test_one_port_for_two_services_is_a_problem(root: ServerRoot) -> None:
    change_options(root.msg_conf, {"service.imap.port": "2143", "service.pop.port": "2143"})
    [problem] = problems(root)
    assert "service.imap.port and service.pop.port are both 2143" in problem


def test_files_that_are_missing_are_problems_and_no_traceback(tmp_path: Path) -> None:
    assert len(problems(ServerRoot(tmp_path))) >= 2


def test_a_mistake_in_certmap_conf_is_told_with_its_line(root: ServerRoot) -> None:
    root.certmap_conf.write_text("certmap default default\ndefault:FilterComp e\n")
    assert problems(root) == [
        f"{root.certmap_conf}:2: 'FilterComp' is not a property: did you mean FilterComps?"
    ]
    root.certmap_conf.write_text("certmap default default\ndefault:FilterComps e, x\n")
    findings = check_server_root(root)
    assert findings.problems == []
    assert findings.warnings == [
        f"{root.certmap_conf}:2: FilterComps: x is not known, it is left out"
    ]
    root.certmap_conf.unlink()
    assert problems(root) == []


def test_a_requirement_of_client_certificates_that_nobody_can_meet_is_warned_of(
    root: ServerRoot,
) -> None:
    set_option(root.msg_conf, "service.imap.clientauth", "require")
    findings = check_server_root(root)
    assert findings.problems == []
    assert any("no CA is trusted for clients" in warning for warning in findings.warnings)
