"""Keys of the certificate database that a token signs with, for `modutil -default` says so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import NewServer
from tests.support.server import MailServer, run_command
from tests.support.token_handshake import handshake
from tests.support.token_site import TokenSite
from tests.support.waiting import eventually

NICKNAMES = "imap-ec, imap-rsa"
ALGORITHMS = (("ECDSA+SHA256", "ECDSA"), ("rsa_pss_rsae_sha256", "RSA-PSS"))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[TokenSite]:
    site = TokenSite(tmp_path / "tokens")
    with site.visible():
        yield site


@pytest.fixture
def server(new_server: NewServer, site: TokenSite) -> MailServer:
    """IMAP presents an EC and an RSA certificate of the database."""
    server = new_server({"local.imap.sslnicknames": NICKNAMES})
    site.install(server)
    for nickname, kind in (("imap-ec", "ec"), ("imap-rsa", "rsa")):
        made = run_command(
            "msgcert", "add-selfsign-cert", "--home", str(server.root.path),
            "--name", "mail.example.test", "--keytype", kind, nickname,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
    return server


def signed_for(server: MailServer, site: TokenSite, *options: str) -> int:
    """How many signatures of the token a handshake, which must succeed, took."""
    before = site.shim.counts.signatures
    said = handshake(server, "imaps", *options)
    assert "Peer signature type" in said, (options, server.log)
    return site.shim.counts.signatures - before


def signs(server: MailServer, site: TokenSite) -> bool:
    """Whether the token signs in a handshake, whether that succeeds or not."""
    before = site.shim.counts.signatures
    handshake(server, "imaps")
    return site.shim.counts.signatures > before


def test_the_token_signs_in_both_versions_of_tls_and_stores_nothing(
    server: MailServer, site: TokenSite
) -> None:
    site.command(server, "modutil", "-default", "shim", "-mechanisms", "RSA:EC")
    with server:
        for version in ("-tls1_2", "-tls1_3"):
            for algorithm, kind in ALGORITHMS:
                assert signed_for(server, site, version, "-sigalgs", algorithm) == 1, kind
        # What others see of the token while the keys are lent to it, and afterwards.
        assert "Object" not in site.hsm.pkcs11_tool("HSM One", "--list-objects")
    assert "Object" not in site.hsm.pkcs11_tool("HSM One", "--list-objects")


def test_only_keys_of_the_mechanisms_that_are_named_are_lent(
    server: MailServer, site: TokenSite
) -> None:
    site.command(server, "modutil", "-default", "shim", "-mechanisms", "RSA")
    with server:
        assert signed_for(server, site, "-sigalgs", "rsa_pss_rsae_sha256") == 1
        assert signed_for(server, site, "-sigalgs", "ECDSA+SHA256") == 0


def test_it_begins_and_ends_while_the_server_runs(server: MailServer, site: TokenSite) -> None:
    with server:
        assert signed_for(server, site) == 0
        site.command(server, "modutil", "-default", "shim", "-mechanisms", "RSA:EC")
        eventually(lambda: signs(server, site), "the token does not sign")
        site.command(server, "modutil", "-undefault", "shim", "-mechanisms", "RSA:EC")
        eventually(lambda: not signs(server, site), "the token signs though it should not")
        eventually(
            lambda: site.shim.counts.sessions_opened - site.shim.counts.sessions_closed < 6,
            "the sessions of keys that are lent no more stay open",
        )


def test_without_the_token_the_keys_are_used_in_software_until_it_is_back(
    server: MailServer, site: TokenSite
) -> None:
    site.command(server, "modutil", "-default", "shim", "-mechanisms", "RSA:EC")
    with server:
        assert signed_for(server, site) == 1
        site.shim.remove_token()
        eventually(lambda: bool(handshake(server, "imaps")), "nothing is presented")
        assert "are used in software" in server.mailfront("status").stderr
        assert "are used in software" in server.log
        site.shim.return_token()
        eventually(lambda: signs(server, site), "the token does not sign again")
        assert "are used in software" not in server.mailfront("status").stderr


def test_each_of_several_workers_lends_the_token_its_own_copy(
    server: MailServer, site: TokenSite
) -> None:
    server.set_option("service.workers", "2")
    site.command(server, "modutil", "-default", "shim", "-mechanisms", "RSA:EC")
    with server:
        assert sum(signed_for(server, site) for _ in range(8)) == 8
        site.shim.remove_token()
        eventually(lambda: not signs(server, site) and bool(handshake(server, "imaps")),
                   "nothing is presented")  # fmt: skip
        site.shim.return_token()
        eventually(lambda: all(signs(server, site) for _ in range(8)), "not all workers lend")


def test_keys_are_lent_again_to_a_token_that_began_anew(
    server: MailServer, site: TokenSite
) -> None:
    site.command(server, "modutil", "-default", "shim", "-mechanisms", "RSA:EC")
    with server:
        assert signed_for(server, site) == 1
        site.shim.restart()
        eventually(lambda: bool(handshake(server, "imaps")), "nothing is presented")
        eventually(lambda: signs(server, site), "the token does not sign again")


def test_a_token_that_takes_no_key_does_not_keep_the_server_from_serving(
    server: MailServer, site: TokenSite
) -> None:
    site.command(server, "modutil", "-default", "shim", "-mechanisms", "RSA:EC")
    site.shim.refuse_objects()
    with server:
        assert signed_for(server, site) == 0
        assert "CKR_ATTRIBUTE_VALUE_INVALID" in server.log


def test_the_new_key_of_a_renewed_certificate_is_lent(server: MailServer, site: TokenSite) -> None:
    site.command(server, "modutil", "-default", "shim", "-mechanisms", "RSA:EC")
    with server:
        before = certificate(server)
        renewed = run_command(
            "msgcert", "renew-selfsign-cert", "--home", str(server.root.path), "--new-key",
            "imap-ec",
        )  # fmt: skip
        assert renewed.returncode == 0, renewed.stderr
        eventually(lambda: certificate(server) not in ("", before), "it is not presented")
        assert signed_for(server, site, "-sigalgs", "ECDSA+SHA256") == 1


def certificate(server: MailServer) -> str:
    """The EC certificate that is presented, in PEM."""
    said = handshake(server, "imaps", "-sigalgs", "ECDSA+SHA256")
    return said.partition("-----BEGIN CERTIFICATE-----")[2].partition("-----END")[0]
