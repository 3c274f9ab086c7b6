"""TLS reports: how TLS with other domains' servers went, told to them each day (RFC 8460)."""
