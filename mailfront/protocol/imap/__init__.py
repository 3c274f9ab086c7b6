"""The IMAP grammar (RFC 3501, RFC 9051): command bytes to values, values to response bytes."""
