"""The table of SMTP commands: when each is allowed, what it takes, how long its line may be."""

from __future__ import annotations

from dataclasses import dataclass

from mailfront.protocol.sasl import MAXIMUM_RESPONSE_OCTETS

# RFC 5321 section 4.5.3.1.4; MAIL and RCPT grow by the parameters of the extensions and by UTF-8.
COMMAND_LINE_LIMIT = 512
EXTENDED_LINE_LIMIT = 2048
# RFC 4954 section 4.
AUTH_LINE_LIMIT = MAXIMUM_RESPONSE_OCTETS + len(b"\r\n")


@dataclass(frozen=True, slots=True)
class Command:
    """When a command is allowed, how long its line may be, and whether it waits for anything before
    it is answered: always (`waits`: a further line, a decision), or perhaps (`may_wait`: a
    directory in the network, the server behind us). `octets_follow` as many as its argument says,
    whatever is replied."""

    after_hello: bool = False
    after_login: bool = False
    takes_argument: bool = True
    line_limit: int = COMMAND_LINE_LIMIT
    waits: bool = False
    may_wait: bool = False
    octets_follow: bool = False


COMMANDS = {
    "HELO": Command(may_wait=True),
    "EHLO": Command(may_wait=True),
    "STARTTLS": Command(takes_argument=False),
    "AUTH": Command(after_hello=True, line_limit=AUTH_LINE_LIMIT, waits=True),
    "MAIL": Command(
        after_hello=True, after_login=True, line_limit=EXTENDED_LINE_LIMIT, may_wait=True
    ),
    "RCPT": Command(
        after_hello=True, after_login=True, line_limit=EXTENDED_LINE_LIMIT, may_wait=True
    ),
    "DATA": Command(after_hello=True, after_login=True, takes_argument=False, may_wait=True),
    "BDAT": Command(after_hello=True, after_login=True, octets_follow=True),
    "RSET": Command(takes_argument=False),
    "NOOP": Command(),
    "QUIT": Command(takes_argument=False),
    "HELP": Command(),
    "VRFY": Command(),
    "EXPN": Command(),
}
