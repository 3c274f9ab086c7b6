"""`python -m bench quick`: measure mailfront beside its peers. `python -m bench keystore`: a
keystore of thousands of certificates. `python -m bench flood`: a session under a flood of
handshakes. `python -m bench token`: keys on PKCS#11 tokens; with `--soak`: what 24,000 handshakes
with them leave behind."""

from __future__ import annotations

import sys

from bench import flood, keystore, quick, token

COMMANDS = {
    "flood": flood.main,
    "keystore": keystore.main,
    "quick": quick.main,
    "token": token.main,
    "token --soak": token.soak_main,
}

if __name__ == "__main__":
    command = " ".join(sys.argv[1:])
    if command not in COMMANDS:
        sys.exit(f"usage: python -m bench {'|'.join(COMMANDS)}")
    COMMANDS[command]()
