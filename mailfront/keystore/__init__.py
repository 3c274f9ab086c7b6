"""Certificates, keys and tokens. No TLS here."""
