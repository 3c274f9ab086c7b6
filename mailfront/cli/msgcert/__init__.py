"""`msgcert`: the certificates and keys of a server root.

`commands` dispatches to one module per group of subcommands; all of them work on the keystore that
the server reads, at any time, also while it runs.
"""

from mailfront.cli.msgcert.commands import main

__all__ = ["main"]
