"""Asking a TLS server what it would agree to: one ClientHello out, the first answer in."""
