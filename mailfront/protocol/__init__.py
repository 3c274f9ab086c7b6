"""Grammars: bytes to values and back, pure and bounded. No input or output here."""
