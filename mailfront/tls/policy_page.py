"""The page of the documentation about TLS policies, made from the profiles and the cipher table.

`python -m mailfront.tls.policy_page CHECKOUT` writes it into a checkout; a test tells when that is
due. It says nothing of the OpenSSL that is linked here: `mailfront ciphers` does.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from mailfront.configuration.durable_file import write_durably
from mailfront.tls.ciphers import ORIGINAL_SUITES, SUITES, Suite, table_23_2
from mailfront.tls.policy import version_name
from mailfront.tls.profiles import PROFILES, Profile

PAGE = Path("docs", "tls-policy.md")

_HEAD = """\
# TLS policy

Generated from the policy module by `python -m mailfront.tls.policy_page .`; do not edit.

A policy decides for a service which protocol versions, cipher suites, key exchange groups and
signature algorithms its clients get, in the server's order. It is a profile, changed by options:

| option | what it decides |
| --- | --- |
| `encryption.tlsprofile` | the profile of all services |
| `encryption.nsssl3ciphers` | a cipher list in place of the profile's suites |
| `encryption.tlsminversion`, `encryption.tlsmaxversion` | the oldest and newest version |
| `local.SERVICE.tlsprofile`, `.nsssl3ciphers`, `.tlsminversion`, `.tlsmaxversion` | the same for \
one service: `imta`, `imap`, `pop` or `http` |

A service with a profile of its own takes nothing from `encryption.*`. All of these are live: new
connections get the new policy within two seconds, old ones keep theirs. A policy that contradicts
itself, names an unknown suite or leaves a version without any suite is refused: the server does not
start with it, and a running one keeps what it has. `mailfront check` names file and line.

`mailfront ciphers` shows what each service comes to on this machine, and why.

## For every policy

- The server's order counts; clients that put ChaCha20 first (those without AES in hardware) get it.
- Suites and signatures with ECDSA come first: a service that presents an RSA and an ECDSA
  certificate presents the ECDSA one to every client that can verify it.
- Groups are in tiers. The first tier of which the client supports a group decides; within it the
  server takes a group for which the client already sent its share. So the hybrid against quantum
  computers is used with every client that has it. OpenSSL has it from 3.5 on and tiers too; older
  versions have neither, and take what the client sent a share for.
- Never: SSL 2.0 and 3.0, compression, renegotiation, early data (0-RTT), encryption `NULL`, export
  and anonymous suites, RC4, DES, SHA-1 signatures in TLS 1.2 and 1.3.
- The server keeps no sessions in memory; resumption is by tickets.
- A key for which the policy has no signature algorithm (P-521 but in `legacy`, other curves) or
  that is weak (RSA below 2048 bits) is refused when it is loaded.
- OpenSSL's security level is 2, and 0 where TLS 1.0 or 1.1 is enabled.

TLS 1.3 suites, groups, signature algorithms and the session cache have no setters in Python's `ssl`
before 3.15. There they are set through the functions of the OpenSSL that `ssl` is linked to, after
a self-check. Where that fails, OpenSSL's own choice stays, and `mailfront ciphers`, `mailfront
status` and the log say so.
"""

_LISTS = """
## Cipher lists

`encryption.nsssl3ciphers = +rsa_aes_128_sha,-rsa_aes_256_sha`

- Items are divided by commas (or colons) and act from left to right. `+name` or the bare name adds,
  `-name` removes.
- A list whose first item begins with `-` starts from the profile's suites, any other from nothing.
- `all` is everything that the profile permits, in the profile's order.
- A name may be the original's, IANA's or OpenSSL's, in any case, or a code such as `0xC02F`.
  OpenSSL's classes (`HIGH`, `kEECDH`) are not taken.
- The suites of TLS 1.3 have no names in the original's lists. They stay as they are unless the list
  names one; `-TLS_AES_256_GCM_SHA384` removes it, and a list that begins with the name of one
  offers only those of TLS 1.3 that it names.
- An unknown name is an error, with the nearest known one. A suite that the profile does not permit,
  or that OpenSSL here lacks, is refused with the reason, in the log at each start and change, by
  `mailfront check` and by `mailfront ciphers`; the others count.
"""


def policy_page() -> str:
    """The page, in Markdown."""
    parts = [_HEAD, "\n## Profiles\n"]
    parts += [_profile(profile) for profile in PROFILES]
    parts += [_LISTS, "\n## Table 23-2 of the original's guide\n\n"]
    parts += _table(
        ("the guide", "name", "IANA", "bits", "fate"),
        [(title, _originals(suite), *_tail(suite)) for title, suite in table_23_2()],
    )
    described = {suite for _, suite in table_23_2()}
    parts.append("\n## The original's other names\n\n")
    parts += _table(
        ("name", "IANA", "bits", "fate"),
        [(_originals(suite), *_tail(suite)) for suite in ORIGINAL_SUITES if suite not in described],
    )
    parts.append("\n## Every other suite with a name\n\n")
    parts += _table(
        ("OpenSSL", "IANA", "bits", "fate"),
        [(f"`{suite.name}`", *_tail(suite)) for suite in SUITES if suite not in ORIGINAL_SUITES],
    )
    return "".join(parts)


def _profile(profile: Profile) -> str:
    versions = f"{version_name(profile.minimum_version)} to TLSv1.3"
    if profile.minimum_version == profile.lowest_version:
        floor = "the least is fixed"
    else:
        floor = f"options may go down to {version_name(profile.lowest_version)}"
    tiers = " / ".join(", ".join(f"`{group}`" for group in tier) for tier in profile.groups)
    lines = [
        f"\n### {profile.name}\n",
        f"\nThe full name is `{profile.dated_name}`. {_sentence(profile.reason)}\n\n",
        f"- Versions: {versions}; {floor}.\n",
        f"- TLS 1.3: {_names(profile.tls13_suites)}\n",
        f"- TLS 1.2: {_names(profile.suites) or 'off'}\n",
        f"- Groups, tiers divided by `/`: {tiers}\n",
        "- Signature algorithms: ",
        ", ".join(f"`{name}`" for name in profile.signature_algorithms),
        "\n",
    ]
    return "".join(lines)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _names(suites: Sequence[Suite]) -> str:
    return ", ".join(f"`{suite.name}`" for suite in suites)


def _originals(suite: Suite) -> str:
    return ", ".join(f"`{name}`" for name in suite.originals)


def _tail(suite: Suite) -> tuple[str, str, str]:
    return f"`{suite.iana}`", str(suite.bits), f"{suite.fate.value}: {suite.reason}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |\n|{' --- |' * len(heads)}\n"
    for row in rows:
        yield f"| {' | '.join(row)} |\n"


def main() -> None:
    """Write the page into the checkout that the first argument names."""
    write_durably(Path(sys.argv[1]) / PAGE, policy_page().encode(), mode=0o644)


if __name__ == "__main__":
    main()
