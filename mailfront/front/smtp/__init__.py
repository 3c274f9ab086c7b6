"""The SMTP front: mail from other servers (MX) and from users (submission)."""

from mailfront.front.smtp.front import SmtpFront
from mailfront.front.smtp.settings import Role, SmtpSettings
from mailfront.front.smtp.submission import WebmailSubmission

__all__ = ["Role", "SmtpFront", "SmtpSettings", "WebmailSubmission"]
