"""Two texts made from the registry: the options page of the documentation, and `config/msg.conf`.

`python -m mailfront.configuration.options_page CHECKOUT` writes both into a checkout; a test tells
when that is due.
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

from mailfront.configuration.durable_file import write_durably
from mailfront.configuration.option import Effect, Option
from mailfront.configuration.option_lines import setting_line
from mailfront.configuration.registry import GROUPS

COMMENT_WIDTH = 78
PAGE = Path("docs", "options.md")
DEFAULT_FILE = Path("config", "msg.conf")

_PAGE_HEAD = """\
# Options

Generated from the option registry by `configutil --describe-all`; do not edit.

Options stand in `config/msg.conf` of the server root, one `name = value` a line, and are best
changed with `configutil`, which refuses what is not valid:

```
configutil -o service.imap.idletimeout             # print the value
configutil -o service.imap.idletimeout -v 45       # set it
configutil -d -o service.imap.idletimeout          # back to the default
configutil --describe service.imap.idletimeout     # type, default, range, help
```

*Live* options are followed by a running server within two seconds; the others count from its next
start. "The original" in a help text is Sun Java System Messaging Server 6.3, whose option names are
kept where it had the option; a default that differs from its default says why.
"""

# Options of the original, and why we have none of that name.
_LEFT_OUT = {
    "service.http.plaintextmincipher": (
        "Webmail is never in clear: its plain port (service.http.port) only sends browsers to "
        "HTTPS, and no policy has a suite of fewer than 128 bits. local.http.nsssl3ciphers asks "
        "for stronger suites; service.http.allowpasswordlogin forbids passwords."
    ),
}

_FILE_HEAD = """\
# msg.conf: the options of this server root.
#
# One `name = value` a line. A value that contains # or a quotation mark, or that begins or ends
# with a blank, stands in double quotes. A line that begins with # is a comment.
#
# Every option there is stands below with its help and its default, commented out. Change options
# with `configutil -o NAME -v VALUE`, which checks the value and keeps the comments, or with an
# editor; then `mailfront check` tells what is wrong. Options marked live are followed by a
# running server within two seconds, the others count from its next start.
#
# "The original" is Sun Java System Messaging Server 6.3, whose names are kept.
"""


def options_page() -> str:
    """Return the options page, in Markdown."""
    parts = [_PAGE_HEAD]
    for title, options in GROUPS:
        parts.append(f"\n## {title}\n")
        parts.append(
            "\n| option | type | default | since | effect |\n| --- | --- | --- | --- | --- |\n"
        )
        parts.extend(_table_row(option) for option in options)
        parts.extend(f"\n**`{option.name}`**: {option.help}\n" for option in options)
    parts.append("\n## Options of the original that are left out on purpose\n")
    parts.extend(f"\n**`{name}`**: {reason}\n" for name, reason in _LEFT_OUT.items())
    return "".join(parts)


def _table_row(option: Option) -> str:
    default = f"`{option.default}`" if option.default else "empty"
    kind = option.type.description.replace("|", "\\|")
    return f"| `{option.name}` | {kind} | {default} | {option.since} | {option.effect.value} |\n"


def default_msg_conf() -> str:
    """Return the commented default `msg.conf`: every option, and none of them set."""
    parts = [_FILE_HEAD]
    for title, options in GROUPS:
        rule = "-" * (COMMENT_WIDTH - len(title) - 6)
        parts.append(f"\n# ---- {title} {rule}\n")
        for option in options:
            live = "; live" if option.effect is Effect.LIVE else ""
            comment = f"{option.help} ({option.type.description}{live})"
            parts.append("\n")
            parts.extend(f"# {line}\n" for line in _wrapped(comment))
            parts.append(f"#{setting_line(option.name, option.default)}\n")
    return "".join(parts)


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, COMMENT_WIDTH, break_on_hyphens=False, break_long_words=False)


def main() -> None:
    """Write both texts into the checkout that the first argument names."""
    checkout = Path(sys.argv[1])
    write_durably(checkout / PAGE, options_page().encode(), mode=0o644)
    write_durably(checkout / DEFAULT_FILE, default_msg_conf().encode(), mode=0o644)


if __name__ == "__main__":
    main()
