"""Mail on disk: Maildir++ with an index per mailbox."""
