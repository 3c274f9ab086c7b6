"""Fixtures of every level."""
