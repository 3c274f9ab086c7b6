"""An OpenID provider on loopback: its configuration, its keys, the tokens it signs."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from tests.support.ports import LOOPBACK

AUDIENCE = "mail.example.test"


class TokenIssuer:
    """Serves while it is entered; `requests` counts what was asked for."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.key = new_key("first")
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.requests[self.path] += 1
                document = issuer.documents().get(self.path)
                self.send_response(200 if document is not None else 404)
                self.end_headers()
                self.wfile.write(json.dumps(document).encode())

            def log_message(self, *_: object) -> None:
                """Tests print nothing."""

        self._server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self.address = f"http://{LOOPBACK}:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def documents(self) -> dict[str, object]:
        """What is served, by path."""
        return {
            "/.well-known/openid-configuration": {
                "issuer": self.address,
                "jwks_uri": f"{self.address}/keys",
            },
            "/keys": KeySet([self.key]).as_dict(),
        }

    def token(self, user: str, **claims: object) -> str:
        """A token for `user`, good for five minutes; keyword arguments replace claims."""
        return signed(self.key, {**self.claims(user), **claims})

    def claims(self, user: str) -> dict[str, object]:
        """The claims of such a token."""
        now = int(time.time())
        return {
            "iss": self.address, "aud": AUDIENCE, "email": user, "iat": now, "exp": now + 300,
        }  # fmt: skip


def new_key(name: str) -> ECKey:
    """A signing key with a name."""
    return ECKey.generate_key("P-256", {"kid": name, "use": "sig", "alg": "ES256"})


def signed(key: ECKey, claims: dict[str, object]) -> str:
    """A token with these claims."""
    return jwt.encode({"alg": "ES256", "kid": key.kid, "typ": "at+jwt"}, claims, key)
