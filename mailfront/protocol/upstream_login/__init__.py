"""Logging in at an upstream on behalf of a user, without input or output."""
