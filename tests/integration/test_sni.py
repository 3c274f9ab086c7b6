"""Many names behind one port: a running server and openssl's client, which asks for them."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.request
from typing import Any

from cryptography import x509

from mailfront.configuration.msg_conf import set_option
from mailfront.keystore.formats import sha256_fingerprint
from mailfront.keystore.internal_token import InternalToken, NewEntry
from mailfront.keystore.nicknames import INTERNAL_TOKEN
from mailfront.keystore.passwords import read_password
from mailfront.keystore.trust import TrustFlags
from tests.conftest import NewServer
from tests.support.issuing import Issued, Issuer
from tests.support.ports import LOOPBACK, free_ports
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


def opened(server: MailServer) -> InternalToken:
    password = read_password(server.root.sslpassword_conf, INTERNAL_TOKEN)
    return InternalToken.open(server.root.certificate_database, password)


def store(server: MailServer, issued: dict[str, Issued]) -> None:
    with opened(server) as token, token.change() as step:
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


EXPIRES = "nickname=tenant services=sni expires in 19 days"


def replace_tenant(server: MailServer, issued: Issued) -> str:
    """Put a certificate in place of the present one; return its fingerprint."""
    with opened(server) as token:
        return token.replace("tenant", issued.chain, issued.key).sha256


def status_of(server: MailServer) -> dict[str, Any]:
    found = json.loads(server.mailfront("status", "--json").stdout)
    assert isinstance(found, dict)
    return found


def metrics(port: int) -> dict[str, float]:
    """The samples of the admin listener, by name and labels as they stand."""
    with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/metrics", timeout=20) as answer:
        lines = answer.read().decode().splitlines()
    samples = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in samples}


def test_a_certificate_chosen_by_name_is_proved_too_before_it_is_replaced(
    new_server: NewServer,
) -> None:
    name = "tenant.example.org"
    [admin] = free_ports(1)
    with new_server({"service.admin.port": str(admin)}) as server:
        with opened(server) as token:
            token.add_authority("Example Root", ISSUER.root)
        first = ISSUER.issue(name, days=20)
        store(server, {"tenant": first})
        old = sha256_fingerprint(first.leaf)
        eventually(lambda: shown(server, name) == old, "the certificate for the name")
        eventually(lambda: EXPIRES in server.log, "warning")
        unfit = replace_tenant(server, ISSUER.issue("other.example.org"))
        reason = f"fingerprint={unfit} stays out of force, {old} is presented: "
        eventually(lambda: reason in server.log, "the log does not say why")
        assert "is not for tenant.example.org" in server.log
        assert shown(server, name) == old
        status = server.mailfront("status", "--strict")
        assert status.returncode == 1
        assert f"served {old[:11]}, keystore {unfit[:11]}" in status.stderr
        assert "1 expire within 30 days; 1 were refused as successors" in status.stdout
        [told] = [
            each for each in status_of(server)["certificates"] if each["nickname"] == "tenant"
        ]
        assert (told["fingerprint"], told["keystore_fingerprint"]) == (old, unfit)
        assert status_of(server)["counters"]["sni.certificates_refused"] == 1
        samples = metrics(admin)
        assert samples['mailfront_named_certificates{state="refused"}'] == 1
        assert samples['mailfront_named_certificates{state="expiring"}'] == 1
        right = replace_tenant(server, ISSUER.issue(name))
        eventually(lambda: shown(server, name) == right, "the right one is not served")
        eventually(
            lambda: status_of(server)["counters"].get("sni.certificates_rotated") == 1, "counted"
        )
        assert f"nickname=tenant fingerprint={right} replaced={old} by=sni" in server.log
        status = server.mailfront("status", "--strict")
        assert status.returncode == 0, status.stderr
