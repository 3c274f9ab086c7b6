"""TLS with private keys on PKCS#11 tokens: served, gone, back; SoftHSM behind a shim."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailfront.interfaces.secret import Secret
from mailfront.keystore.passwords import write_password
from tests.conftest import NewServer
from tests.support.dialogue import Dialogue
from tests.support.server import MailServer
from tests.support.softhsm import SoftHsm
from tests.support.token_handshake import handshake
from tests.support.token_shim import TokenShim
from tests.support.token_site import NAME, TokenSite, environment_is_clean_of
from tests.support.waiting import eventually

SERVICES = ("imta", "imap", "pop", "http")
# Port and what s_client calls its STARTTLS.
PORTS = (("submissions", ""), ("imaps", ""), ("pops", ""), ("https", ""),
         ("smtp", "smtp"), ("imap", "imap"), ("pop", "pop3"))  # fmt: skip
PERSONALITY = "encryption.rsa.nssslpersonalityssl"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[TokenSite]:
    site = TokenSite(tmp_path / "tokens")
    with site.visible():
        yield site


def presents(server: MailServer, port: str, text: str) -> bool:
    """Whether a handshake succeeds with a certificate whose subject has the text."""
    lines = handshake(server, port).splitlines()
    return any(line.startswith("subject=") and text in line for line in lines)


def problems(server: MailServer) -> str:
    """What `mailfront status` tells beside its table."""
    return server.mailfront("status").stderr


def only(server: MailServer, nicknames: str) -> None:
    """Let every service present the same."""
    for service in SERVICES:
        server.set_option(f"local.{service}.sslnicknames", nicknames)


def test_all_services_serve_ec_and_rsa_keys_of_a_token_in_both_versions(
    new_server: NewServer, site: TokenSite
) -> None:
    server = new_server()
    site.install(server)
    site.certify(server, "token-ec")
    site.certify(server, "token-rsa", "--keytype", "rsa")
    only(server, "HSM One:token-ec, shim:token-rsa")
    with server:
        before = site.shim.counts.signatures
        for port, starttls in PORTS:
            for version in ("-tls1_2", "-tls1_3"):
                for algorithms, kind in (
                    ("ECDSA+SHA256", "ECDSA"), ("rsa_pss_rsae_sha256", "RSA-PSS"),
                ):  # fmt: skip
                    said = handshake(
                        server, port, version, "-sigalgs", algorithms, starttls=starttls
                    )
                    assert f"Peer signature type: {kind}" in said, (port, version, said)
            said = handshake(server, port, "-tls1_2", "-sigalgs", "RSA+SHA256", starttls=starttls)
            assert "Peer signature type: RSA\n" in said, (port, said)
        assert site.shim.counts.signatures - before == 5 * len(PORTS)
        pin = site.hsm.pins["HSM One"].reveal()
        assert environment_is_clean_of(pin, server.pid)
        assert pin not in server.log


def test_a_p384_key_serves(new_server: NewServer, site: TokenSite) -> None:
    server = new_server()
    site.install(server)
    site.certify(server, "token-p384", "--curve", "P-384")
    only(server, "HSM One:token-p384")
    with server:
        assert "Server public key is 384 bit" in handshake(server, "imaps")


def test_a_key_of_the_token_and_one_of_the_database_serve_on_one_port(
    new_server: NewServer, site: TokenSite
) -> None:
    server = new_server({"local.imap.sslnicknames": "HSM One:token-rsa, imap-cert"})
    site.install(server)
    site.certify(server, "token-rsa", "--keytype", "rsa")
    with server:
        assert "RSA-PSS" in handshake(server, "imaps", "-sigalgs", "rsa_pss_rsae_sha256")
        assert "ECDSA" in handshake(server, "imaps", "-sigalgs", "ECDSA+SHA256")
        status = server.mailfront("status").stdout
        assert "HSM One:token-rsa,imap-cert" in status


def test_the_token_of_all_services_is_named_by_one_option(
    new_server: NewServer, site: TokenSite
) -> None:
    server = new_server({"encryption.rsa.nsssltoken": "HSM One", PERSONALITY: "token-ec"})
    only(server, "")
    site.install(server)
    site.certify(server, "token-ec")
    with server:
        assert all(presents(server, port, NAME) for port in ("imaps", "pops", "https"))


def test_two_modules_serve_at_once(new_server: NewServer, site: TokenSite, tmp_path: Path) -> None:
    second = SoftHsm(tmp_path / "second")
    pin = second.new_token("HSM Two")
    shim = TokenShim(tmp_path / "second-shim", second)
    server = new_server(
        {"local.imap.sslnicknames": "HSM One:ours", "local.pop.sslnicknames": "second:ours"}
    )
    site.install(server)
    site.command(server, "modutil", "-add", "second", "-libfile", str(shim.library))
    write_password(server.root.sslpassword_conf, "HSM Two", pin)
    site.certify(server, "ours")
    site.certify_on(server, "HSM Two", "ours", "--name", "pop.example.test")
    with server:
        for _ in range(2):
            assert presents(server, "imaps", NAME)
            assert presents(server, "pops", "pop.example.test")


def test_while_a_token_is_gone_starttls_is_refused_and_implicit_tls_ends_with_an_alert(
    new_server: NewServer, site: TokenSite
) -> None:
    server = new_server()
    site.install(server)
    site.certify(server, "token-ec")
    only(server, "HSM One:token-ec")
    server.set_option("local.http.sslnicknames", "http-cert")
    with server:
        site.shim.remove_token()
        eventually(lambda: not handshake(server, "imaps") and "until its token" in server.log,
                   "its absence is not noticed")  # fmt: skip
        with Dialogue(server.ports["smtp"]) as client:
            client.line()
            assert client.ask(b"STARTTLS", b"454 4.7.0")
            assert client.ask(b"NOOP", b"250")
        with Dialogue(server.ports["imap"]) as client:
            client.line()
            assert client.ask(b"a STARTTLS", b"a NO [UNAVAILABLE]")
        with Dialogue(server.ports["pop"]) as client:
            client.line()
            assert client.ask(b"STLS", b"-ERR [SYS/TEMP]")
        assert presents(server, "https", "http-cert")
        assert "there is no token 'HSM One'" in problems(server)
        site.shim.return_token()
        eventually(lambda: presents(server, "imaps", NAME), "it is not picked up when it is back")
        assert handshake(server, "smtp", starttls="smtp")
        assert "until its token" not in problems(server)


def test_while_a_token_is_gone_the_rest_of_a_personality_or_its_fallback_is_presented(
    new_server: NewServer, site: TokenSite
) -> None:
    server = new_server(
        {
            "local.imap.sslnicknames": "HSM One:token-rsa, imap-cert",
            "local.pop.sslnicknames": "HSM One:token-rsa",
            "local.pop.fallbacknicknames": "pop-cert",
        }
    )
    site.install(server)
    site.certify(server, "token-rsa", "--keytype", "rsa")
    with server:
        assert presents(server, "pops", NAME)
        site.shim.remove_token()
        eventually(lambda: presents(server, "pops", "pop-cert"), "the fallback is not presented")
        assert presents(server, "imaps", "imap-cert")
        site.shim.return_token()
        eventually(lambda: presents(server, "pops", NAME), "the token's is not presented again")


def test_a_restarted_token_is_logged_into_again(new_server: NewServer, site: TokenSite) -> None:
    server = new_server({"local.imap.sslnicknames": "HSM One:token-ec"})
    site.install(server)
    site.certify(server, "token-ec")
    with server:
        assert presents(server, "imaps", NAME)
        site.shim.restart()
        eventually(lambda: presents(server, "imaps", NAME), "it does not serve after a restart")


def test_a_token_whose_directory_goes_and_comes_under_load_costs_only_its_handshakes(
    new_server: NewServer, site: TokenSite, tmp_path: Path
) -> None:
    server = new_server({"local.imap.sslnicknames": "HSM One:token-ec"})
    site.command(server, "modutil", "-add", "softhsm", "-libfile", str(site.hsm.library))
    write_password(server.root.sslpassword_conf, "HSM One", site.hsm.pins["HSM One"])
    site.certify(server, "token-ec")
    stop = threading.Event()
    refused_by_pop = []

    def load() -> None:
        while not stop.is_set():
            handshake(server, "imaps")
            if not handshake(server, "pops"):
                refused_by_pop.append(time.monotonic())

    with server, Dialogue(server.ports["imaps"], tls=True) as session:
        session.line()
        thread = threading.Thread(target=load)
        thread.start()
        try:
            site.hsm.tokens.rename(tmp_path / "away")
            site.hsm.tokens.mkdir()
            eventually(lambda: "until its token" in server.log, "its absence is not noticed")
            assert session.ask(b"a NOOP", b"a OK")
            site.hsm.tokens.rmdir()
            (tmp_path / "away").rename(site.hsm.tokens)
            eventually(
                lambda: presents(server, "imaps", NAME), "it does not serve again", seconds=40
            )
        finally:
            stop.set()
            thread.join()
        assert session.ask(b"b NOOP", b"b OK")
        assert not refused_by_pop


def test_the_server_starts_without_its_token_and_takes_it_when_it_comes(
    new_server: NewServer, site: TokenSite
) -> None:
    server = new_server({"local.imap.sslnicknames": "HSM One:token-ec"})
    site.install(server)
    site.certify(server, "token-ec")
    site.shim.remove_token()
    with server:
        assert presents(server, "pops", "pop-cert")
        assert not handshake(server, "imaps")
        site.shim.return_token()
        eventually(lambda: presents(server, "imaps", NAME), "it is not picked up")


def test_a_wrong_pin_is_tried_once_however_often_the_server_starts(
    new_server: NewServer, site: TokenSite
) -> None:
    server = new_server({"local.imap.sslnicknames": "HSM One:token-ec"})
    site.install(server)
    site.certify(server, "token-ec")
    right = site.hsm.pins["HSM One"]
    write_password(server.root.sslpassword_conf, "HSM One", Secret("not-the-pin"))
    before = site.shim.counts.logins
    for _ in range(3):
        with server:
            assert presents(server, "pops", "pop-cert")
    assert server.mailfront("check").returncode == 1
    assert site.shim.counts.logins - before == 1
    assert "some tries are left" in server.log
    assert "not-the-pin" not in server.log
    with server:
        write_password(server.root.sslpassword_conf, "HSM One", right)
        eventually(lambda: presents(server, "imaps", NAME), "the right PIN is not taken over")


def test_a_module_installed_while_the_server_runs_is_used_without_a_restart(
    new_server: NewServer, site: TokenSite
) -> None:
    with new_server() as server:
        site.install(server)
        site.certify(server, "token-ec")
        server.set_option("local.imap.sslnicknames", "HSM One:token-ec")
        eventually(lambda: presents(server, "imaps", NAME), "it is not served")
        site.command(server, "modutil", "-disable", "shim")
        eventually(lambda: not handshake(server, "imaps"), "it is served though disabled")
        site.command(server, "modutil", "-enable", "shim")
        eventually(lambda: presents(server, "imaps", NAME), "it is not served again")


def test_without_the_provider_the_rest_serves_and_check_says_what_to_install(
    new_server: NewServer, site: TokenSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = new_server({"local.imap.sslnicknames": "HSM One:token-ec"})
    site.install(server)
    site.certify(server, "token-ec")
    server.choose_ports()
    monkeypatch.setenv("OPENSSL_MODULES", str(tmp_path))
    checked = server.mailfront("check")
    assert checked.returncode == 1
    assert "apt install" in checked.stdout
    assert "pkcs11-provider" in checked.stdout
    with server:
        assert presents(server, "pops", "pop-cert")
        assert not handshake(server, "imaps")


def test_a_slow_token_keeps_nobody_else_waiting(new_server: NewServer, site: TokenSite) -> None:
    server = new_server({"local.imap.sslnicknames": "HSM One:token-ec"})
    site.install(server)
    site.certify(server, "token-ec")
    with server:
        site.shim.delay(2000)
        threads = [threading.Thread(target=handshake, args=(server, "imaps")) for _ in range(3)]
        signed = site.shim.counts.signatures
        for thread in threads:
            thread.start()
        # All of these happen within the two seconds of the signatures.
        for _ in range(5):
            assert handshake(server, "pops")
        assert site.shim.counts.signatures == signed
        for thread in threads:
            thread.join()
        assert site.shim.counts.signatures == signed + 3
        site.shim.delay(0)
