"""Many names behind one port: a running server and openssl's client, which asks for them."""

from __future__ import annotations

import re
import subprocess

from cryptography import x509

from mailfront.configuration.msg_conf import set_option
from mailfront.keystore.formats import sha256_fingerprint
from mailfront.keystore.internal_token import InternalToken, NewEntry
from mailfront.keystore.nicknames import INTERNAL_TOKEN
from mailfront.keystore.passwords import read_password
from mailfront.keystore.trust import TrustFlags
from tests.conftest import NewServer
from tests.support.issuing import Issued, Issuer
from tests.support.ports import LOOPBACK
from tests.support.server import MailServer
from tests.support.waiting import eventually

ISSUER = Issuer()


def shown(server: MailServer, name: str | None, port: str = "imaps", *more: str) -> str:
    """The fingerprint of what openssl's client is shown when it asks for `name`."""
    asked = ["-noservername"] if name is None else ["-servername", name]
    address = f"{LOOPBACK}:{server.ports[port]}"
    finished = subprocess.run(
        ["openssl", "s_client", "-connect", address, *asked, *more],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=30,
        check=False,
    )
    found = re.search(
        rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", finished.stdout, re.DOTALL
    )
    assert found is not None, finished.stderr.decode(errors="replace")
    return sha256_fingerprint(x509.load_pem_x509_certificate(found[0]))


def store(server: MailServer, issued: dict[str, Issued]) -> None:
    password = read_password(server.root.sslpassword_conf, INTERNAL_TOKEN)
    with (
        InternalToken.open(server.root.certificate_database, password) as token,
        token.change() as step,
    ):
        for nickname, each in issued.items():
            step.add(NewEntry(nickname, each.chain, each.key, TrustFlags.USER))


def test_a_client_is_shown_the_certificate_for_its_name_live(new_server: NewServer) -> None:
    with new_server() as server:
        own = shown(server, None)
        assert shown(server, "tenant.example.org") == own
        tenant = ISSUER.issue("tenant.example.org", "*.wild.example.org")
        expected = sha256_fingerprint(tenant.leaf)
        store(server, {"tenant": tenant})
        eventually(lambda: shown(server, "tenant.example.org") == expected, "new certificate")
        assert shown(server, "any.wild.example.org") == expected
        assert shown(server, "unknown.example.org") == own
        assert shown(server, "localhost") == own
        assert shown(server, None) == own
        assert shown(server, "tenant.example.org", "submission", "-starttls", "smtp") == expected
        eventually(lambda: "nickname=tenant" in server.log, "line in the log")
        set_option(server.root.msg_conf, "local.service.ssl.sni", "no")
        eventually(lambda: shown(server, "tenant.example.org") == own, "option")


def test_five_thousand_names_are_served_each_by_its_certificate(new_server: NewServer) -> None:
    server = new_server()
    key = ISSUER.issue("any.example.org").key
    tenants = {f"tenant{n}": ISSUER.issue(f"tenant{n}.example.org", key=key) for n in range(5000)}
    store(server, tenants)
    with server:
        for number in (0, 17, 4999):
            expected = sha256_fingerprint(tenants[f"tenant{number}"].leaf)
            assert shown(server, f"tenant{number}.example.org") == expected
        assert shown(server, "tenant5000.example.org") == shown(server, None)
