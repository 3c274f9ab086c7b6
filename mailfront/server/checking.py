"""`mailfront check`: every problem of a server root, without starting anything.

Each check returns what it found; none stops the others, so a person sees all problems at once.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from mailfront.authentication.certmap_file import read_certmap
from mailfront.configuration.home import ServerRoot
from mailfront.configuration.msg_conf import Configuration, load_configuration
from mailfront.errors import (
    ConfigurationError,
    ConfigurationProblems,
    ListenError,
    OperatorError,
)
from mailfront.keystore.expiry import days_left
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.keystore import Keystore
from mailfront.keystore.nicknames import INTERNAL_TOKEN
from mailfront.keystore.passwords import read_password, warning_about
from mailfront.listener.sockets import bind
from mailfront.server.certificates import (
    ALPN,
    ServiceContexts,
    configured_nicknames,
    contest_warnings,
    nickname_option,
    nicknames_of,
)
from mailfront.server.channel_checking import check_channels
from mailfront.server.client_certificates import ClientCertificates
from mailfront.server.control import ask_server
from mailfront.server.dkim_signing import configured_keys
from mailfront.server.logins import login_problems, login_warnings
from mailfront.server.ports import check_distinct, planned_ports
from mailfront.server.published_policy import check_published_policy
from mailfront.server.recent_logins import check_recent_logins
from mailfront.server.sending import check_sending
from mailfront.server.sharing import check_sharing
from mailfront.server.standing_policies import reporting_organization
from mailfront.server.token_checking import check_tokens
from mailfront.server.upstreams import check_upstreams
from mailfront.server.user_directory import check_directory
from mailfront.tls.certificate_names import CertificateNames
from mailfront.tls.openssl import unavailable_settings
from mailfront.tls.succession import MAXIMUM_LINES

EXPIRY_WARNING_DAYS = 14


@dataclass
class Findings:
    """Problems prevent the server from serving as configured; warnings do not."""

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def add(self, failure: OperatorError) -> None:
        """Note a failure, or each of several."""
        if isinstance(failure, ConfigurationProblems):
            self.problems += [str(problem) for problem in failure.problems]
        else:
            self.problems.append(str(failure))


def check_server_root(root: ServerRoot) -> Findings:
    """Check files, permissions, options, keystore, personalities, users and ports."""
    findings = Findings()
    findings.problems += _permissions(root)
    configuration: Configuration | None = None
    try:
        configuration = load_configuration(root.msg_conf)
    except OperatorError as failure:
        findings.add(failure)
    token = _open_token(root, findings)
    _check_certmap(root, findings)
    _check_channels(root, configuration, token, findings)
    _check_directory(root, configuration or Configuration.of({}), token, findings)
    if token is not None:
        with token:
            if configuration is not None:
                _check_personalities(root, configuration, token, findings)
                _check_client_certificates(root, configuration, token, findings)
                _check_names(configuration, token, findings)
                _check_upstreams(root, configuration, token, findings)
                _check_sharing(root, configuration, token, findings)
                _check_policies(root, configuration, token, findings)
    findings.warnings += unavailable_settings()
    if configuration is not None:
        findings.problems += login_problems(configuration)
        findings.problems += check_recent_logins(root, configuration)
        _check_sending(root, configuration, findings)
        findings.warnings += login_warnings(root, configuration)
        _check_ports(root, configuration, findings)
    return findings


def _check_certmap(root: ServerRoot, findings: Findings) -> None:
    if not root.certmap_conf.exists():
        return
    try:
        findings.warnings += read_certmap(root.certmap_conf).certmap.warnings
    except OperatorError as failure:
        findings.add(failure)


def _check_channels(
    root: ServerRoot,
    configuration: Configuration | None,
    token: InternalToken | None,
    findings: Findings,
) -> None:
    try:
        findings.warnings += check_channels(root, token, configuration)
    except OperatorError as failure:
        findings.add(failure)


def _check_sending(root: ServerRoot, configuration: Configuration, findings: Findings) -> None:
    try:
        findings.warnings += check_sending(root, configuration)
    except OperatorError as failure:
        findings.add(failure)


def _check_directory(
    root: ServerRoot, configuration: Configuration, token: InternalToken | None, findings: Findings
) -> None:
    try:
        findings.problems += check_directory(root, configuration, token)
    except OperatorError as failure:
        findings.add(failure)


def _check_upstreams(
    root: ServerRoot, configuration: Configuration, token: InternalToken, findings: Findings
) -> None:
    try:
        findings.warnings += check_upstreams(root, configuration, token)
    except OperatorError as failure:
        findings.add(failure)


def _check_sharing(
    root: ServerRoot, configuration: Configuration, token: InternalToken, findings: Findings
) -> None:
    try:
        findings.warnings += check_sharing(root, configuration, token)
    except OperatorError as failure:
        findings.add(failure)


def _check_policies(
    root: ServerRoot, configuration: Configuration, token: InternalToken, findings: Findings
) -> None:
    """What we publish and sign: MTA-STS and DKIM."""
    try:
        findings.warnings += check_published_policy(configuration, token)
        findings.problems += configured_keys(configuration, token)[1]
        if configuration.boolean("tlsreport.enable"):
            reporting_organization(configuration)
    except ConfigurationError as failure:
        findings.problems.append(f"{root.msg_conf}: {failure}")


def _permissions(root: ServerRoot) -> Iterator[str]:
    """What holds secrets or decides who may read mail belongs to its owner alone."""
    private = (
        root.path, root.config_directory, root.certdb_directory, root.certificate_database,
        root.store_directory, root.msg_conf, root.initial_passwords,
        root.scram_secret,
    )  # fmt: skip
    for path in private:
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        except FileNotFoundError:
            continue
        except OSError as failure:
            yield str(ConfigurationError(f"cannot be read: {failure.strerror}", file=path))
            continue
        allowed = _allowed_mode(path, root)
        if mode & ~allowed:
            wrong = ConfigurationError(
                f"others may use it (mode {mode:04o})", remedy=f"chmod {allowed:o}", file=path
            )
            yield str(wrong)


def _allowed_mode(path: Path, root: ServerRoot) -> int:
    if path.is_dir():
        # The server root itself may be traversed: what lies below it is closed.
        return 0o755 if path == root.path else 0o700
    return 0o640 if path == root.msg_conf else 0o600


def _open_token(root: ServerRoot, findings: Findings) -> InternalToken | None:
    try:
        password = read_password(root.sslpassword_conf, INTERNAL_TOKEN)
        if warning := warning_about(password):
            findings.warnings.append(warning)
        return InternalToken.open(root.certificate_database, password)
    except OperatorError as failure:
        findings.add(failure)
        return None


def _check_personalities(
    root: ServerRoot, configuration: Configuration, token: InternalToken, findings: Findings
) -> None:
    keystore = Keystore(root, token)
    keystore.look_at_tokens()
    problems, warnings = check_tokens(root, configuration, keystore)
    findings.problems += problems
    findings.warnings += warnings
    for service in ALPN:
        option = nickname_option(configuration, service)
        contexts = ServiceContexts([service])
        try:
            contexts.load(configuration, keystore)
        except OperatorError as failure:
            findings.add(
                ConfigurationError(
                    failure.what,
                    remedy=failure.remedy,
                    file=root.msg_conf,
                    line=failure.line or configuration.line_of(option),
                )
            )
            continue
        slot = contexts.slots[service]
        if slot.degraded:
            findings.problems.append(f"{option}: {slot.problem}")
        if slot.current is not None:
            findings.warnings += [f"{service}: {warning}" for warning in slot.current.warnings()]
        found = map(keystore.find, nicknames_of(configuration, service))
        for record in (each for each in found if each is not None):
            nickname, left = record.nickname, days_left(record.certificate, datetime.now(UTC))
            if left <= EXPIRY_WARNING_DAYS:
                findings.warnings.append(f"{option}: {nickname} {_expiry_state(left)}; renew it")


def _check_client_certificates(
    root: ServerRoot, configuration: Configuration, token: InternalToken, findings: Findings
) -> None:
    clients = ClientCertificates()
    for authentication in clients.authentications.values():
        authentication.takes_any = lambda: _pins_keys(root)
    try:
        clients.load(configuration, token)
    except OperatorError as failure:
        file = root.msg_conf if failure.line else failure.file
        findings.add(
            ConfigurationError(failure.what, remedy=failure.remedy, file=file, line=failure.line)
        )
    findings.warnings += clients.warnings()


def _pins_keys(root: ServerRoot) -> bool:
    try:
        return root.certmap_conf.exists() and read_certmap(root.certmap_conf).certmap.pins_keys
    except OperatorError:
        # Told with the rest of the file's mistakes.
        return False


def _check_names(configuration: Configuration, token: InternalToken, findings: Findings) -> None:
    """What clients are shown by the name they ask for (SNI)."""
    if not configuration.boolean("local.service.ssl.sni"):
        return
    now = datetime.now(UTC)
    configured = configured_nicknames(configuration, ALPN)
    records = token.inventory().records
    names = CertificateNames.of_records(records, now, configured=configured)
    findings.warnings += contest_warnings(names)
    by_name = names.presented - configured
    expiring = [
        f"{record.nickname}, presented by name, {_expiry_state(left)}; renew it"
        for record in records
        if record.nickname in by_name
        if (left := days_left(record.certificate, now)) <= EXPIRY_WARNING_DAYS
    ]
    findings.warnings += expiring[:MAXIMUM_LINES]
    if more := len(expiring[MAXIMUM_LINES:]):
        findings.warnings.append(f"{more} more certificates presented by name expire soon")


def _expiry_state(left: int) -> str:
    return f"expires in {left} days" if left >= 0 else f"expired {-left} days ago"


def _check_ports(root: ServerRoot, configuration: Configuration, findings: Findings) -> None:
    planned = planned_ports(configuration)
    try:
        check_distinct(planned)
    except OperatorError as failure:
        findings.add(failure)
        return
    ours = _ports_of_running_server(root)
    for port in planned:
        if port.port in ours:
            continue
        try:
            bind(port.address, port.port, option=port.option, client_speaks_first=False).close()
        except ListenError as failure:
            line = configuration.line_of(port.option)
            file = root.msg_conf if line else None
            findings.add(ListenError(failure.what, remedy=failure.remedy, file=file, line=line))


def _ports_of_running_server(root: ServerRoot) -> set[int]:
    try:
        answer = ask_server(root.control_socket, "status")
    except OperatorError:
        # No server runs here: then every port must be free.
        return set()
    ports = answer.get("ports")
    assert isinstance(ports, list)
    return {port["port"] for port in ports}
