"""What IMAP and POP3 say to a client whose mailbox is at an upstream."""

from __future__ import annotations

from mailfront.backend.upstream.relay import Farewells
from mailfront.interfaces.backend import AuthenticatedSession
from mailfront.protocol.upstream_login.imap import ImapLogin
from mailfront.protocol.upstream_login.login import ClientFacts, UpstreamCredentials
from mailfront.protocol.upstream_login.pop import XCLIENT_OFFER, PopLogin


class ImapWords:
    """IMAP: `* BYE` (RFC 9051 section 7.1.5), `NO [UNAVAILABLE]` (RFC 5530)."""

    farewells = Farewells(
        leave=b"LOGOUT",
        bye=b"* BYE",
        upstream_gone=b"* BYE [UNAVAILABLE] The mail store closed the session\r\n",
        idle=b"* BYE Idle for too long\r\n",
        stopping=b"* BYE Server is shutting down\r\n",
        kicked=b"* BYE An administrator ended this session; log in again\r\n",
    )

    def login(
        self,
        session: AuthenticatedSession,
        credentials: UpstreamCredentials,
        client: ClientFacts,
        *,
        greeting: str | None,
    ) -> ImapLogin:
        """Part of `Words`."""
        return ImapLogin(session.tag, credentials, client, greeted=greeting is not None)

    def unavailable(self, session: AuthenticatedSession) -> bytes:
        """Part of `Words`."""
        bye = b"* BYE Try again later\r\n"
        if not session.tag:
            return bye
        refusal = b"%s NO [UNAVAILABLE] The mailbox cannot be reached; try again later\r\n"
        return refusal % session.tag + bye


class PopWords:
    """POP3: `-ERR [SYS/TEMP]` (RFC 3206 section 4)."""

    farewells = Farewells(
        leave=b"QUIT",
        bye=b"",
        upstream_gone=b"-ERR [SYS/TEMP] the mail store closed the session\r\n",
        idle=b"-ERR idle for too long\r\n",
        stopping=b"-ERR [SYS/TEMP] the server is stopping\r\n",
        kicked=b"-ERR [SYS/TEMP] an administrator ended this session\r\n",
    )

    def login(
        self,
        session: AuthenticatedSession,
        credentials: UpstreamCredentials,
        client: ClientFacts,
        *,
        greeting: str | None,
    ) -> PopLogin:
        """Part of `Words`."""
        offered = greeting is not None and XCLIENT_OFFER in greeting
        return PopLogin(credentials, client, greeted=greeting is not None, offers_xclient=offered)

    def unavailable(self, session: AuthenticatedSession) -> bytes:
        """Part of `Words`."""
        return b"-ERR [SYS/TEMP] the mailbox cannot be reached; try again later\r\n"
