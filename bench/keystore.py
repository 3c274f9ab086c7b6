"""A large keystore: what it costs to open it and to build the contexts of four services.

Takes the number of certificates; prints CPU seconds beyond the one key derivation, and what one
changed certificate costs afterwards. One EC key serves all certificates: making thousands of keys
is not what is measured.
"""

from __future__ import annotations

import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mailfront.configuration.msg_conf import Configuration
from mailfront.interfaces.secret import Secret
from mailfront.keystore import requests
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.records import NewEntry
from mailfront.keystore.renewal import renew_self_signed
from mailfront.keystore.sealing import DerivationCost
from mailfront.keystore.trust import TrustFlags
from mailfront.server.certificates import ALPN, ServiceContexts

CERTIFICATES = 5000
ROUNDS = 5
_PASSWORD = Secret("of the bench")
# The derivation is left out of the figure, so it may as well be cheap.
_CHEAP = DerivationCost(n=2, r=1, p=1)
_PERSONALITIES = {
    f"local.{service}.sslnicknames": f"host-{number}" for number, service in enumerate(ALPN)
}


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory(prefix="mailfront-bench-") as directory:
        path = Path(directory, "certdb", "keystore.sqlite")
        _make(path)
        configuration = Configuration.of(_PERSONALITIES)
        opening, one_change = [], []
        for _ in range(ROUNDS):
            begin = time.process_time()
            token = InternalToken.open(path, _PASSWORD)
            contexts = ServiceContexts(ALPN)
            contexts.load(configuration, token)
            opening.append(time.process_time() - begin)
            with token:
                renew_self_signed(token, "host-0")
                begin = time.process_time()
                changed = contexts.load(configuration, token)
                one_change.append(time.process_time() - begin)
            assert len(changed) == 1
    print(
        f"{CERTIFICATES:,} certificates, CPU seconds beyond the key derivation, median of {ROUNDS}"
    )
    print(
        f"open, and build the contexts of {len(ALPN)} services: {sorted(opening)[ROUNDS // 2]:.2f}"
    )
    print(f"follow one renewed certificate:                 {sorted(one_change)[ROUNDS // 2]:.2f}")


def _make(path: Path) -> None:
    key = requests.KeyKind("ec").generate()
    now = datetime.now(UTC)
    entries = []
    for number in range(CERTIFICATES):
        subject = requests.build_subject(name=f"host-{number}.example.test", country="")
        certificate = requests.self_signed_certificate(
            key,
            subject,
            requests.default_alternative_names(subject),
            now=now,
            expires=now + timedelta(days=90),
        )
        entries.append(NewEntry(f"host-{number}", (certificate,), key, TrustFlags.USER))
    InternalToken.create(path, _PASSWORD, entries=entries, cost=_CHEAP).close()
