"""`python -m bench quick`: measure mailfront beside its peers. `python -m bench keystore`: a
keystore of thousands of certificates. `python -m bench flood`: a session under a flood of
handshakes. `python -m bench token`: keys on PKCS#11 tokens; with `--soak`: what 24,000 handshakes
with them leave behind. `python -m bench directory`: look-ups of users. `python -m bench logins`:
logins by certificate and by password. What sessions through a proxy cost, beside other proxies:
`proxy-logins`, `proxy-certificates`, `proxy-bulk`, `proxy-idle`, `moving`, `workers`; `--help`
behind one of them tells its options."""

from __future__ import annotations

import sys

from bench import directory, flood, keystore, logins, proxy, quick, token

COMMANDS = {
    "directory": directory.main,
    "flood": flood.main,
    "keystore": keystore.main,
    "logins": logins.main,
    "quick": quick.main,
    "token": token.main,
    "token --soak": token.soak_main,
}

if __name__ == "__main__":
    command = " ".join(sys.argv[1:])
    if sys.argv[1:2] and sys.argv[1] in proxy.CASES:
        proxy.main(sys.argv[1], sys.argv[2:])
    elif command in COMMANDS:
        COMMANDS[command]()
    else:
        sys.exit(f"usage: python -m bench {'|'.join([*COMMANDS, *proxy.CASES])}")
