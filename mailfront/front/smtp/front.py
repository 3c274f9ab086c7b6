"""The factory of SMTP sessions for one port."""

from __future__ import annotations

from collections.abc import Callable

from mailfront.front.smtp.reception import Reception
from mailfront.front.smtp.session import SmtpSession
from mailfront.front.smtp.settings import Role, SmtpSettings
from mailfront.front.smtp.submission import SubmissionReception
from mailfront.interfaces.authenticator import Authenticator
from mailfront.interfaces.message_sink import MessageSink


class SmtpFront:
    """Called once per connection, returns its protocol; all sessions share what does not change.

    `on_counter` is given the name of each event worth counting, such as `submit.logins`.
    """

    def __init__(
        self,
        role: Role,
        settings: SmtpSettings,
        authenticator: Authenticator,
        sink: MessageSink,
        on_counter: Callable[[str], None],
    ) -> None:
        kind = SubmissionReception if role is Role.SUBMISSION else Reception
        self._settings = settings
        self._authenticator = authenticator
        self._reception = kind(settings, sink, on_counter)

    def __call__(self) -> SmtpSession:
        """A session for a new connection; the loop must be running."""
        return SmtpSession(self._settings, self._reception, self._authenticator)
