"""Which certificates the services use: nickname → the options that name it.

Takes the server root, returns uses; the configuration is read as the server reads it. Raises
`OperatorError` if it cannot be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mailfront.configuration.home import ServerRoot
from mailfront.configuration.msg_conf import load_configuration
from mailfront.keystore.nicknames import INTERNAL_TOKEN, parse_personality
from mailfront.server.certificates import ALPN, nickname_option, nicknames_of


@dataclass(frozen=True, slots=True)
class Use:
    """A service that presents a certificate, and the option that says so."""

    service: str
    option: str


def uses_of_certificates(
    root: ServerRoot, tokens: Sequence[str] = (INTERNAL_TOKEN,)
) -> dict[str, Sequence[Use]]:
    """Return the uses of each nickname of a token that is known by any of the names `tokens`.

    Without `msg.conf` there is no server yet, so nothing is used.
    """
    if not root.is_initialised():
        return {}
    configuration = load_configuration(root.msg_conf)
    uses: dict[str, list[Use]] = {}
    for service in ALPN:
        personality = ",".join(nicknames_of(configuration, service))
        option = nickname_option(configuration, service)
        for named in parse_personality(personality) if personality else ():
            if named.token in tokens:
                uses.setdefault(named.nickname, []).append(Use(service, option))
    return dict(uses)
