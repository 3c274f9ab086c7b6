"""Contracts between the stages: Protocols and small records, no behaviour of their own.

The consumer imports the contract; `server.wiring` alone chooses the object behind it.
"""
