"""Examining a TLS server from the outside, as a client, and judging what was found."""
