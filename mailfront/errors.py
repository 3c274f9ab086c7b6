"""The one hierarchy of exceptions: operator's mistake, peer's fault, backend failure, our misuse.

Every exception that mailfront raises on purpose descends from `MailfrontError`. Its text is for
people; what may travel to a peer is a separate, deliberately chosen text.
"""

from __future__ import annotations

from enum import Enum
from pathlib import Path


class MailfrontError(Exception):
    """The root. Never raised itself."""


class OperatorError(MailfrontError):
    """A mistake that the person who runs the command or edits a file can mend.

    Takes what is wrong, the remedy, and where (file and line) if that is known. A command prints
    it as `file:line: what: remedy` and exits with 1; it never becomes a traceback.
    """

    def __init__(
        self, what: str, *, remedy: str = "", file: Path | None = None, line: int | None = None
    ) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy
        self.file = file
        self.line = line

    def __str__(self) -> str:
        place = "" if self.file is None else str(self.file)
        if place and self.line is not None:
            place = f"{place}:{self.line}"
        return ": ".join(part for part in (place, self.what, self.remedy) if part)


class ConfigurationError(OperatorError):
    """An option, a configuration file or its permissions are wrong."""


class ConfigurationProblems(ConfigurationError):
    """Several configuration problems found in one pass; `problems` holds each of them."""

    def __init__(self, problems: list[ConfigurationError]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class KeystoreError(OperatorError):
    """A certificate, key, nickname or the certificate database itself is at fault."""


class WrongPasswordError(KeystoreError):
    """A password does not open a file of keys; another one may."""


class TokenError(KeystoreError):
    """A PKCS#11 module or token is at fault, or cannot be used now.

    `temporary` tells that it may be well again by itself: removed, restarting, its network cut.
    """

    def __init__(
        self,
        what: str,
        *,
        remedy: str = "",
        file: Path | None = None,
        line: int | None = None,
        temporary: bool = False,
    ) -> None:
        super().__init__(what, remedy=remedy, file=file, line=line)
        self.temporary = temporary


class OcspError(OperatorError):
    """Nothing is learnt of a certificate's revocation: no answer, or one that does not count."""


class MtaStsError(OperatorError):
    """A domain's MTA-STS policy cannot be fetched, or is none."""


class TlsReportError(OperatorError):
    """A TLS report cannot be handed over."""


class DirectoryError(OperatorError):
    """The user directory cannot be read or an entry in it is at fault."""


class DirectoryUnavailableError(MailfrontError):
    """The directory cannot be asked at present: nothing is known of the user, good or bad."""


class SharedStoreUnavailableError(MailfrontError):
    """The store that front ends share gave no answer in time, or is away."""


class LdapProtocolError(MailfrontError):
    """What a directory server sent is not LDAP, or breaks a bound."""


class ListenError(OperatorError):
    """A listener cannot be bound."""


class PeerError(MailfrontError):
    """The peer broke the protocol or a limit. The text is safe to log, never to echo."""


class LineTooLongError(PeerError):
    """A line exceeded its bound before its end was seen."""


class ImapSyntaxError(PeerError):
    """An IMAP command is malformed. The text is ours throughout and may be sent to the client."""


class PeerGoneError(PeerError):
    """The peer closed the connection, or was too slow, in the middle of something."""


class StarttlsFault(Enum):
    """Why a client does not begin TLS after STARTTLS."""

    NOT_OFFERED = "not offered"
    REFUSED = "refused"
    MALFORMED = "malformed answer"
    INJECTION = "injected octets"
    PREAUTH = "authenticated before TLS"


class StarttlsError(PeerError):
    """A server does not bring a client to TLS; `fault` is the closed enumeration of reasons. Where
    it refuses in SMTP, `refusal` is the code and the text."""

    def __init__(
        self, fault: StarttlsFault, what: str, refusal: tuple[int, str] | None = None
    ) -> None:
        super().__init__(what)
        self.fault = fault
        self.refusal = refusal


class TlsAnswerError(PeerError):
    """What a server answers to a ClientHello is not TLS, or breaks its rules."""


class ServerStoppingError(MailfrontError):
    """The server is stopping: a session that waits for its client's next command ends here."""


class SessionKickedError(ServerStoppingError):
    """An administrator ends this session alone."""


class ClientHelloError(PeerError):
    """Octets that do not begin a TLS handshake, or a ClientHello that cannot be read."""


class AddressError(PeerError):
    """A text is no mail address. The text of this error tells the rule, never the address."""


class DistinguishedNameError(PeerError):
    """A text is no distinguished name. The text of this error tells the rule and the place."""


class MappingRefusedError(MailfrontError):
    """A client certificate does not lead to exactly one user; the text is for the log."""


class TokenRefusedError(MailfrontError):
    """An access token does not prove who its bearer is; the text is for the log."""


class SaslFault(Enum):
    """Why a SASL exchange ended without credentials; each front has its own reply for each."""

    CANCELLED = "the client cancelled the exchange"
    MALFORMED = "not base64"
    TOO_LONG = "longer than allowed"
    INVALID = "not what the mechanism prescribes"
    DOWNGRADE = "somebody took channel binding out of what we offered"


class SaslError(PeerError):
    """A SASL exchange failed; `kind` is the closed enumeration that a front maps to its reply."""

    def __init__(self, kind: SaslFault, what: str) -> None:
        super().__init__(what)
        self.kind = kind


class SmtpRefusalError(PeerError):
    """An SMTP command is refused: basic code, enhanced status code, and a text for the client."""

    def __init__(self, code: int, enhanced: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.enhanced = enhanced


class ProxyHeaderError(PeerError):
    """What a trusted proxy sent is no PROXY header."""


class UpstreamTlsError(PeerError):
    """TLS with an upstream does not come about, or its certificate is not to be trusted: then
    `verify_code` is OpenSSL's X509_V_ERR_ code, else 0."""

    def __init__(self, what: str, *, verify_code: int = 0) -> None:
        super().__init__(what)
        self.verify_code = verify_code


class UpstreamLoginError(PeerError):
    """An upstream does not let a user in; `temporary` tells whether it may do so later."""

    def __init__(self, text: str, *, temporary: bool = False) -> None:
        super().__init__(text)
        self.temporary = temporary


class UpstreamMailError(PeerError):
    """A server behind us does not speak SMTP as it must, or does not take what is asked of it."""


class ClientRefusedError(PeerError):
    """A server behind us refuses, with `code` and `lines`, the very client it was told of."""

    def __init__(self, code: int, lines: tuple[str, ...]) -> None:
        super().__init__(f"it refuses this client: {code} {lines[0][:200]}")
        self.code = code
        self.lines = lines


class BackendError(MailfrontError):
    """The backend could not do what was asked; `temporary` tells whether a retry may help."""

    def __init__(self, what: str, *, temporary: bool) -> None:
        super().__init__(what)
        self.temporary = temporary


class MailboxError(BackendError):
    """A mailbox does not exist, exists already, or does not allow what was asked.

    `code` is the response code of RFC 9051 section 7.1 (or RFC 5530) that says it to a client:
    NONEXISTENT, ALREADYEXISTS, CANNOT, LIMIT, INUSE.
    """

    def __init__(self, what: str, *, code: str) -> None:
        super().__init__(what, temporary=code == "INUSE")
        self.code = code


class MessageGoneError(BackendError):
    """A message was expunged since its UID was learnt."""

    def __init__(self, uid: int) -> None:
        super().__init__(f"message {uid} is gone", temporary=False)
        self.uid = uid


class DestinationError(MailfrontError):
    """Mail does not get to a destination, or to one of its servers.

    `temporary` tells whether a later attempt may; `status` is the enhanced status code (RFC 3463)
    that says it to the sender.
    """

    def __init__(self, what: str, *, temporary: bool, status: str) -> None:
        super().__init__(what)
        self.temporary = temporary
        self.status = status


class DnsUnavailableError(DestinationError):
    """No name server answers, or none that can be believed: nothing is known of a name."""

    def __init__(self, what: str) -> None:
        super().__init__(what, temporary=True, status="4.4.3")


class RoutingError(MailfrontError):
    """No rewrite rule leads a domain to a channel that delivers; the text is for the log."""


class ServerRefusalError(DestinationError):
    """A server answers that it does not serve us: its reply's `code` and `lines`."""

    def __init__(self, what: str, *, code: int, lines: tuple[str, ...], status: str = "") -> None:
        super().__init__(what, temporary=code < 500, status=status)
        self.code = code
        self.lines = lines


class ServerTlsError(DestinationError):
    """The TLS with a server is not what is demanded; `result` is RFC 8460's word for it."""

    def __init__(self, what: str, *, result: str) -> None:
        super().__init__(what, temporary=True, status="4.7.5")
        self.result = result


class SubmissionRefusedError(MailfrontError):
    """A message was not taken for sending; the text is for the person who sends it."""


class WebServerError(MailfrontError):
    """A webmail server behind us gave no answer, or none that can be passed on.

    `status` is what the client is told: 502, 503 or 504, or the server's own refusal of a
    WebSocket, with its `headers`.
    """

    def __init__(
        self, what: str, *, status: int, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(what)
        self.status = status
        self.headers = headers
