"""The IMAP front: greeting, capabilities, STARTTLS, ID and login (RFC 9051, RFC 3501)."""
