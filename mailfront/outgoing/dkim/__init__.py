"""DKIM signatures on mail that this server's users send (RFC 6376, Ed25519 by RFC 8463)."""
