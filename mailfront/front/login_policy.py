"""By which mechanisms a service lets users log in, over which connections.

Takes what the configuration says and what is known of the connection; gives the mechanisms to
announce, which are exactly those that are taken. A password that travels as such needs a cipher of
`plaintextmincipher` bits; a token always needs TLS (RFC 7628 section 4); SCRAM does not show the
password, but who sees the exchange can guess at it, so it too waits for TLS unless passwords are
taken in clear. EXTERNAL needs a certificate that may log somebody in.
"""

from __future__ import annotations

from dataclasses import dataclass

from mailfront.front.login_channel import LoginChannel
from mailfront.protocol import sasl
from mailfront.protocol.sasl.scram import PLUS

PLAINTEXT = frozenset({"PLAIN", "LOGIN"})
"""Mechanisms that send the password as such."""

_TOKENS = frozenset({"OAUTHBEARER", "XOAUTH2"})


@dataclass(frozen=True, slots=True)
class LoginPolicy:
    """What the configuration says of logins on a service.

    Plaintext passwords are taken under a cipher of at least `plaintext_minimum_cipher` bits: 0
    takes them in clear too, a negative number never. Without `password_login` a certificate is the
    only way in. `any_password`: who has a certificate may say so by PLAIN or LOGIN, with whatever
    password. `mechanisms` are those that the operator lets be offered. `preauthenticated` logs
    holders of certificates in before they say a word (IMAP, where TLS is implicit). `discovery` is
    what clients are told of the issuer of tokens.
    """

    plaintext_minimum_cipher: int = 128
    password_login: bool = True
    any_password: bool = False
    preauthenticated: bool = False
    mechanisms: tuple[str, ...] = ("EXTERNAL", "PLAIN", "LOGIN")
    discovery: str = ""

    def offered(self, channel: LoginChannel) -> tuple[str, ...]:
        """Return the mechanisms that are taken over `channel`, the stronger first."""
        return tuple(
            name
            for name in sasl.MECHANISMS
            if name in self.mechanisms and self._usable(name, channel)
        )

    def takes_passwords(self, channel: LoginChannel) -> bool:
        """Whether a password that travels as such is taken over `channel`."""
        wanted = self.password_login or (self.any_password and channel.certificate)
        return wanted and 0 <= self.plaintext_minimum_cipher <= channel.cipher_bits

    def takes_passwords_ever(self) -> bool:
        """Whether there is any connection over which one is."""
        return self.plaintext_minimum_cipher >= 0 and (self.password_login or self.any_password)

    def _usable(self, name: str, channel: LoginChannel) -> bool:
        if name == "EXTERNAL":
            return channel.certificate
        if name in PLAINTEXT:
            return self.takes_passwords(channel)
        if not self.password_login:
            return False
        if name in _TOKENS:
            return channel.cipher_bits > 0
        if name == PLUS and channel.channel_binding is None:
            return False
        return channel.cipher_bits > 0 or self.plaintext_minimum_cipher == 0
