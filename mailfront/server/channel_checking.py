"""What `mailfront check` finds in imta.cnf and in the files and certificates that it names."""

from __future__ import annotations

from pathlib import Path

from mailfront.channels.advice import advice
from mailfront.channels.channel import Channel, Demand
from mailfront.channels.imta_cnf import load_channels
from mailfront.configuration.home import ServerRoot
from mailfront.configuration.msg_conf import Configuration
from mailfront.errors import ConfigurationError, ConfigurationProblems, OperatorError
from mailfront.keystore.internal_token import InternalToken
from mailfront.outgoing.client_login import read_login

_LEAST_CIPHER = "service.submit.plaintextmincipher"


def check_channels(
    root: ServerRoot, token: InternalToken | None, configuration: Configuration | None = None
) -> list[str]:
    """Return warnings. Raises `ConfigurationError`, or `ConfigurationProblems` for several."""
    table = load_channels(root)
    problems: list[ConfigurationError] = []
    for channel in table.channels.values():
        problems += _problems(root, channel, token)
    if problems:
        raise ConfigurationProblems(problems)
    warnings = advice(table, root.imta_cnf)
    submission = table.channel_of_port("submission")
    lowered = configuration is not None and configuration.integer(_LEAST_CIPHER) == 0
    if lowered and submission.tls_server is Demand.MUST:
        warnings.append(
            f"{_LEAST_CIPHER} is 0, but {submission.name} in {root.imta_cnf} demands TLS "
            "(musttlsserver): no password is taken in clear"
        )
    return warnings


def _problems(
    root: ServerRoot, channel: Channel, token: InternalToken | None
) -> list[ConfigurationError]:
    found: list[ConfigurationError] = []
    if channel.credentials:
        try:
            read_login(Path(channel.credentials))
        except OperatorError as failure:
            found.append(
                ConfigurationError(
                    failure.what, remedy=failure.remedy, file=failure.file, line=failure.line
                )
            )
    nickname = channel.client_certificate
    if nickname and token is not None and ":" not in nickname:
        record = token.find(nickname)
        if record is None or not record.has_key:
            found.append(
                ConfigurationError(
                    f"tlscertificate {nickname}: no such certificate with a key",
                    remedy="msgcert list-certs shows those there are",
                    file=root.imta_cnf,
                    line=channel.line,
                )
            )
    return found
