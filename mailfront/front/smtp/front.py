"""The factory of SMTP sessions for one port."""

from __future__ import annotations

from collections.abc import Callable

from mailfront.front.smtp.reception import Reception
from mailfront.front.smtp.relaying import Relaying, RelayingSubmission
from mailfront.front.smtp.session import SmtpSession
from mailfront.front.smtp.settings import Role, SmtpSettings
from mailfront.front.smtp.submission import SubmissionReception
from mailfront.interfaces.authenticator import Authenticator
from mailfront.interfaces.mail_relay import MailRelay
from mailfront.interfaces.message_sink import MessageSink


class SmtpFront:
    """Called once per connection, returns its protocol; all sessions share what does not change.

    `on_counter` is given the name of each event worth counting, such as `submit.logins`. With a
    `relay`, mail goes there and not to `sink`.
    """

    def __init__(
        self,
        role: Role,
        settings: SmtpSettings,
        authenticator: Authenticator,
        sink: MessageSink,
        on_counter: Callable[[str], None],
        relay: MailRelay | None = None,
    ) -> None:
        self._settings = settings
        self._authenticator = authenticator
        # Users may log in on either port, if their channel says so.
        if relay is not None:
            self._users: Reception = RelayingSubmission(settings, sink, on_counter, relay)
            servers: Reception = Relaying(settings, sink, on_counter, relay)
        else:
            self._users = SubmissionReception(settings, sink, on_counter)
            servers = Reception(settings, sink, on_counter)
        self._reception = self._users if role is Role.SUBMISSION else servers

    def __call__(self) -> SmtpSession:
        """A session for a new connection; the loop must be running."""
        return SmtpSession(self._settings, self._reception, self._authenticator, self._users)
