"""SMTP as a client of the server behind us, without input or output."""
