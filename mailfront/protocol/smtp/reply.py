"""SMTP replies as named values: basic code (RFC 5321), enhanced status code (RFC 3463), text.

The enhanced codes are those that the IANA registry associates with the basic code (RFC 5248).
Texts are constant: nothing a client sent is ever echoed in a reply.
"""

from __future__ import annotations

from dataclasses import dataclass

from mailfront.errors import SmtpRefusalError

# Codes that say the client speaks the protocol badly, as against mail that is refused.
_PROTOCOL_ERRORS = frozenset({500, 501, 502, 503, 504, 555})


@dataclass(frozen=True, slots=True)
class Reply:
    """One single-line reply. `enhanced` is empty where RFC 2034 section 4 wants none (3xx)."""

    code: int
    enhanced: str
    text: str

    def encode(self) -> bytes:
        """The reply as it is sent, line end included."""
        if self.enhanced:
            return f"{self.code} {self.enhanced} {self.text}\r\n".encode("ascii")
        return f"{self.code} {self.text}\r\n".encode("ascii")

    @property
    def is_protocol_error(self) -> bool:
        """Whether it answers a command that was unknown, malformed or out of order."""
        return self.code in _PROTOCOL_ERRORS

    @classmethod
    def of(cls, refusal: SmtpRefusalError) -> Reply:
        """The reply that a refusal raised by a parser stands for."""
        return cls(refusal.code, refusal.enhanced, str(refusal))


@dataclass(frozen=True, slots=True)
class PassedReply(Reply):
    """A reply of the server behind us, `lines` with their enhanced codes: no judgement of ours on
    how the client speaks the protocol."""

    lines: tuple[str, ...] = ()

    def encode(self) -> bytes:
        """The reply as it is sent, line end included."""
        separators = ["-"] * (len(self.lines) - 1) + [" "]
        lines = zip(separators, self.lines, strict=True)
        return "".join(f"{self.code}{each}{line}\r\n" for each, line in lines).encode("ascii")

    @property
    def is_protocol_error(self) -> bool:
        """No."""
        return False

    @classmethod
    def of_lines(cls, code: int, lines: tuple[str, ...]) -> PassedReply:
        """The reply with these lines, at least one."""
        return cls(code, "", lines[-1], lines)


# Sequence and syntax.
NOT_HTTP = Reply(421, "4.7.0", "This is a mail server")
TOO_MANY_ERRORS = Reply(421, "4.7.0", "Too many errors, closing the connection")
TOO_MANY_REFUSED_RECIPIENTS = Reply(421, "4.7.0", "Too many unknown recipients")
TIMED_OUT = Reply(421, "4.4.2", "Idle for too long, closing the connection")
STOPPING = Reply(421, "4.3.2", "The service is stopping")
KICKED = Reply(421, "4.7.0", "An administrator ended this session")
UNKNOWN_COMMAND = Reply(500, "5.5.1", "Command not recognised")
LINE_TOO_LONG = Reply(500, "5.5.2", "Line too long")
NO_ARGUMENT_EXPECTED = Reply(501, "5.5.4", "This command takes no argument")
NOT_TEXT = Reply(500, "5.5.2", "Command lines are ASCII or UTF-8")
BAD_HELLO = Reply(501, "5.5.4", "A domain name or address literal is required")
NOT_IMPLEMENTED = Reply(502, "5.5.1", "Command not implemented")
HELLO_FIRST = Reply(503, "5.5.1", "Send EHLO first")
TLS_ALREADY = Reply(503, "5.5.1", "TLS is active already")
MAIL_ALREADY = Reply(503, "5.5.1", "A mail transaction is open already")
MAIL_FIRST = Reply(503, "5.5.1", "Send MAIL first")
PARAMETERS_NEED_EHLO = Reply(555, "5.5.4", "Parameters need EHLO instead of HELO")
MAIL_SYNTAX = Reply(501, "5.5.4", "Syntax: MAIL FROM:<address> [parameters]")
RCPT_SYNTAX = Reply(501, "5.5.4", "Syntax: RCPT TO:<address>")
RECIPIENT_TOO_LATE = Reply(503, "5.5.1", "The message has begun: no further recipients")
DATA_BEHIND_BDAT = Reply(503, "5.5.1", "No DATA behind BDAT, the transaction is reset")
AUTH_SYNTAX = Reply(501, "5.5.4", "Syntax: AUTH mechanism [initial response]")
NO_VALID_RECIPIENTS = Reply(554, "5.5.1", "No valid recipients")

# Completions.
OK = Reply(250, "2.0.0", "OK")
RESET = Reply(250, "2.0.0", "Transaction reset")
SENDER_OK = Reply(250, "2.1.0", "Sender accepted")
RECIPIENT_OK = Reply(250, "2.1.5", "Recipient accepted")
CANNOT_VERIFY = Reply(252, "2.5.0", "Addresses are verified by RCPT only")
BYE = Reply(221, "2.0.0", "Goodbye")
HELP = Reply(214, "2.0.0", "See RFC 5321")
SEND_DATA = Reply(354, "", "End data with <CR><LF>.<CR><LF>")

CHUNK_TAKEN = Reply(250, "2.0.0", "Chunk received")

# TLS and authentication.
READY_FOR_TLS = Reply(220, "2.0.0", "Ready to start TLS")
TLS_UNAVAILABLE = Reply(454, "4.7.0", "TLS is not available at the moment")
STARTTLS_PIPELINED = Reply(554, "5.5.1", "Nothing may follow STARTTLS before the handshake")
# RFC 3207 section 4.
TLS_UNAVAILABLE = Reply(454, "4.7.0", "TLS is not available at the moment: no certificate")
STARTTLS_FIRST = Reply(530, "5.7.0", "Send STARTTLS first")
AUTHENTICATION_REQUIRED = Reply(530, "5.7.0", "Authentication required")
AUTHENTICATION_OK = Reply(235, "2.7.0", "Authentication succeeded")
AUTHENTICATION_FAILED = Reply(535, "5.7.8", "Authentication failed")
AUTHENTICATION_UNAVAILABLE = Reply(454, "4.7.0", "Authentication is not possible at the moment")
AUTHENTICATION_CANCELLED = Reply(501, "5.7.0", "Authentication cancelled")
AUTHENTICATION_MALFORMED = Reply(501, "5.5.2", "Malformed authentication response")
AUTHENTICATION_TOO_LONG = Reply(500, "5.5.6", "Authentication exchange line too long")
AUTHENTICATION_NOT_HERE = Reply(503, "5.5.1", "Authentication is for the submission ports")
AUTHENTICATED_ALREADY = Reply(503, "5.5.1", "Authenticated already")
AUTHENTICATION_IN_TRANSACTION = Reply(503, "5.5.1", "No AUTH during a mail transaction")
ENCRYPTION_REQUIRED = Reply(538, "5.7.11", "Authentication requires TLS: send STARTTLS first")
CIPHER_TOO_WEAK = Reply(534, "5.7.9", "Authentication needs a stronger cipher")
NO_PASSWORDS = Reply(504, "5.5.4", "Authentication by password is switched off")
UNKNOWN_MECHANISM = Reply(504, "5.5.4", "Unknown authentication mechanism")
TOO_MANY_LOGINS = Reply(421, "4.7.0", "Too many failed logins")

# Senders, recipients, messages.
SENDER_NOT_OWNED = Reply(553, "5.7.1", "The sender address does not belong to this user")
UNKNOWN_USER = Reply(550, "5.1.1", "No such user here")
RELAYING_DENIED = Reply(550, "5.7.1", "Relaying denied")
NO_OUTGOING_MAIL = Reply(550, "5.7.1", "This server sends no mail to other domains")
TOO_MANY_RECIPIENTS = Reply(452, "4.5.3", "Too many recipients, send again for the rest")
MESSAGE_TOO_LARGE = Reply(552, "5.3.4", "Message larger than this server accepts")
BARE_LINE_END = Reply(550, "5.5.2", "Lines end with CR LF, never with CR or LF alone")
NUL_IN_MESSAGE = Reply(550, "5.6.0", "NUL octets are not allowed in a message")
INTERNATIONAL_ADDRESS = Reply(553, "5.6.7", "This address needs MAIL with SMTPUTF8")
NO_SPACE = Reply(452, "4.3.1", "Insufficient storage, try again later")
MAIL_LOOP = Reply(554, "5.4.6", "Too many Received headers, the message is in a loop")
DIRECTORY_UNAVAILABLE = Reply(451, "4.4.3", "Recipients cannot be checked now, try again later")
TEMPORARY_FAILURE = Reply(451, "4.3.0", "Temporary failure, try again later")
PERMANENT_FAILURE = Reply(554, "5.3.0", "The message cannot be stored")
RELAY_UNAVAILABLE = Reply(451, "4.4.1", "Mail cannot be passed on now, try again later")
RELAY_LOST = Reply(451, "4.4.2", "The connection to the next mail server was lost, try again later")


def queued(identifier: str) -> Reply:
    """The reply that takes over responsibility for a message."""
    return Reply(250, "2.0.0", f"Message queued as {identifier}")


def internal_error(reference: str) -> Reply:
    """The reply to a fault of ours: details are in the log under `reference`."""
    return Reply(451, "4.3.0", f"Internal error, reference {reference}")
