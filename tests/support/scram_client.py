"""The client's side of SCRAM-SHA-256, written from RFC 5802 without a look at the server's."""

from __future__ import annotations

import base64
import hashlib
import hmac

from mailfront.interfaces.credentials import ScramVerifier

SALT = b"0123456789abcdef"


def verifier_of(password: str, *, iterations: int = 4096, salt: bytes = SALT) -> ScramVerifier:
    """Return what a server keeps of a password in ASCII."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    stored_key = hashlib.sha256(client_key).digest()
    return ScramVerifier(iterations, salt, stored_key, hmac.digest(salted, b"Server Key", "sha256"))


class ScramClient:
    """One exchange. Without `kind` the client cannot bind; `flag` overrides what it says of it."""

    def __init__(
        self,
        login: str,
        password: str,
        kind: str = "",
        binding: bytes = b"",
        *,
        authorization: str = "",
        nonce: str = "rOprNGfwEbeRWgbNEkqO",
        flag: str = "",
    ) -> None:
        self._password = password
        self._binding = binding
        flag = flag or (f"p={kind}" if kind else "n")
        named = f"a={_saslname(authorization)}" if authorization else ""
        self.header = f"{flag},{named},".encode()
        self.bare = f"n={_saslname(login)},r={nonce}".encode()
        self._signature = b""

    def first(self) -> bytes:
        """Return the client's first message."""
        return self.header + self.bare

    def last(self, server_first: bytes, *, extension: bytes = b"", nonce: bytes = b"") -> bytes:
        """Return the client's last message, in answer to the server's first."""
        fields = dict(part.split(b"=", 1) for part in server_first.split(b","))
        salted = hashlib.pbkdf2_hmac(
            "sha256", self._password.encode(), base64.b64decode(fields[b"s"]), int(fields[b"i"])
        )
        channel = base64.b64encode(self.header + self._binding)
        unsigned = b"c=%s,r=%s" % (channel, nonce or fields[b"r"]) + extension
        signed = b",".join((self.bare, server_first, unsigned))
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        stored_key = hashlib.sha256(client_key).digest()
        signature = hmac.digest(stored_key, signed, "sha256")
        proof = bytes(one ^ other for one, other in zip(client_key, signature, strict=True))
        server_key = hmac.digest(salted, b"Server Key", "sha256")
        self._signature = hmac.digest(server_key, signed, "sha256")
        return unsigned + b",p=" + base64.b64encode(proof)

    def is_server(self, server_last: bytes) -> bool:
        """Whether the server has proved that it knows the verifier."""
        return server_last == b"v=" + base64.b64encode(self._signature)


def _saslname(text: str) -> str:
    return text.replace("=", "=3D").replace(",", "=2C")
