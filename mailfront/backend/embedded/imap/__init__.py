"""The IMAP session engine over the embedded store: what comes after authentication.

`session.EmbeddedImap` is the backend. Each command is a module: it takes the session's state and
the parsed arguments, sends untagged responses, and returns the text of the tagged OK; it refuses
by raising `ImapSyntaxError` (BAD) or `MailboxError` (NO).
"""
