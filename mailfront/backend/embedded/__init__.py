"""The embedded mail backend: IMAP, POP3 and delivery over the store, in process."""
