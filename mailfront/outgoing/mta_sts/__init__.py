"""MTA-STS for mail that we send (RFC 8461): what a domain asks of those who send to it."""
