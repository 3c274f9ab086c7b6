"""The POP3 front: greeting, CAPA, STLS and login (RFC 1939, RFC 2449, RFC 2595)."""
