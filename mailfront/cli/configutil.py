"""`configutil`: get, set, delete, list and explain options (the original's configutil, 6.3).

Takes the arguments, works on `config/msg.conf` of the server root, prints values on stdout and
everything else on stderr. Exit codes: 0 ok, 1 refused or failed, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mailfront.cli.output import JsonValue, print_json, print_line, print_message, run_command
from mailfront.configuration.home import ServerRoot
from mailfront.configuration.msg_conf import (
    Configuration,
    change_options,
    delete_option,
    load_configuration,
    set_option,
    validated_settings,
)
from mailfront.configuration.option import Effect, Option
from mailfront.configuration.option_lines import LARGEST_FILE, parse_option_lines, setting_line
from mailfront.configuration.options_page import options_page
from mailfront.configuration.registry import REGISTRY
from mailfront.errors import ConfigurationError
from mailfront.version import VERSION

DESCRIPTION = """\
Reads and changes the options of a server root (its config/msg.conf).

An option that is not set has its default. A value is checked when it is set and
again whenever it is read, so a wrong one never starts a server.
"""

EXAMPLES = """\
examples:
  configutil --home ./var                            list every option and its value
  configutil -o service.imap.idletimeout             print one value
  configutil -o service.imap.idletimeout -v 45       set it
  configutil -d -o service.imap.idletimeout          back to the default
  configutil -p local.imap                           options that begin with local.imap
  configutil --describe service.imap.idletimeout     type, range, default, what it is for
  configutil -o local.imap.sslnicknames -v imap-cert which certificate IMAP presents
  configutil -i options.txt                          set many, all or none (name=value lines)
  configutil -V                                      check the whole file

The server root is --home DIR or the variable MAILFRONT_HOME.
Exit codes: 0 ok, 1 refused or failed, 2 wrong usage.
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the arguments."""
    parser = argparse.ArgumentParser(
        prog="configutil",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--home", metavar="DIR", help="the server root (or set MAILFRONT_HOME)")
    parser.add_argument(
        "-f", dest="file", metavar="FILE", help="work on FILE instead of config/msg.conf"
    )
    one = parser.add_argument_group("one option")
    one.add_argument("-o", dest="option", metavar="OPTION", help="print the option's value")
    one.add_argument("-v", dest="value", metavar="VALUE", help='set it; -v "" sets it to nothing')
    one.add_argument("-d", dest="delete", action="store_true", help="delete it: default again")
    one.add_argument("--describe", metavar="OPTION", help="explain the option")
    many = parser.add_argument_group("many options")
    many.add_argument(
        "-l", dest="list", action="store_true", help="list all options (done without arguments too)"
    )
    many.add_argument("-p", dest="prefix", metavar="PREFIX", help="list those that begin so")
    many.add_argument(
        "-m", dest="refreshable", action="store_true", help="append whether changes count at once"
    )
    many.add_argument(
        "-H", dest="with_help", action="store_true", help="append help text and default"
    )
    many.add_argument(
        "-i", dest="input", metavar="FILE", help="set what FILE lists (- is standard input)"
    )
    many.add_argument(
        "-V", dest="verify", action="store_true", help="check the file and list nothing"
    )
    many.add_argument(
        "--describe-all", action="store_true", help="print the options page, in Markdown"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--version", action="version", version=f"configutil (mailfront) {VERSION}")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run_command(lambda: _dispatch(build_parser(), arguments))


def _dispatch(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> int:
    given = parser.parse_args(arguments)
    _refuse_contradictions(parser, given)
    if given.describe_all:
        sys.stdout.write(options_page())
        return 0
    if given.describe is not None:
        return _describe(REGISTRY.find(given.describe), as_json=given.json)
    path = _file(given)
    if given.input is not None:
        return _import(path, given.input)
    if given.option is not None:
        return _one_option(path, given)
    if given.verify:
        return _verify(path)
    return _list(path, given)


def _refuse_contradictions(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    listing = given.list or given.prefix is not None or given.refreshable or given.with_help
    actions = {
        "-o": given.option is not None,
        "-i": given.input is not None,
        "-V": given.verify,
        "--describe": given.describe is not None,
        "--describe-all": given.describe_all,
        "-l, -p, -m and -H": listing,
    }
    chosen = [name for name, wanted in actions.items() if wanted]
    if len(chosen) > 1:
        parser.error(f"{chosen[0]} does not go together with {chosen[1]}")
    if given.value is not None and given.option is None:
        parser.error("-v needs -o OPTION")
    if given.delete and given.option is None:
        parser.error("-d needs -o OPTION")
    if given.delete and given.value is not None:
        parser.error("-d and -v exclude each other")


def _file(given: argparse.Namespace) -> Path:
    if given.file is not None:
        return Path(given.file)
    root = ServerRoot.from_environment(given.home)
    root.require_initialised()
    return root.msg_conf


def _one_option(path: Path, given: argparse.Namespace) -> int:
    name = given.option
    if given.value is not None:
        set_option(path, name, given.value)
    elif given.delete:
        delete_option(path, name)
        if name not in REGISTRY:
            print_message(f"{name}, which is no option, is removed from {path}")
            return 0
    option = REGISTRY.find(name)
    if given.value is not None or given.delete:
        _report_change(option, given)
        _tell_of_tls_policy(path, option)
        return 0
    configuration = load_configuration(path)
    if given.json:
        print_json(_record(option, configuration))
    else:
        print_line(configuration.text(name))
    return 0


def _report_change(option: Option, given: argparse.Namespace) -> None:
    text = option.default if given.delete else option.canonical(given.value)
    default = ", the default" if given.delete else ""
    print_message(f"{setting_line(option.name, text)}{default}: {option.effect.sentence}")
    if given.json:
        print_json(
            {"name": option.name, "value": _json_value(option, text), "set": not given.delete}
        )


def _tell_of_tls_policy(path: Path, option: Option) -> None:
    """Options of a TLS policy are judged together, so after the change and without refusing it:
    another option may be the next to change."""
    from mailfront.server.policies import DECIDING, policy_messages

    if option.name.rpartition(".")[2] in DECIDING:
        for message in policy_messages(load_configuration(path)):
            print_message(f"warning: {message}")


def _list(path: Path, given: argparse.Namespace) -> int:
    prefix = given.prefix or ""
    options = REGISTRY.beginning_with(prefix)
    if not options:
        raise ConfigurationError(
            f"no option begins with {prefix!r}", remedy=REGISTRY.remedy_for_unknown(prefix)
        )
    configuration = load_configuration(path)
    if given.json:
        print_json([_record(option, configuration) for option in options])
        return 0
    for option in options:
        line = setting_line(option.name, configuration.text(option.name))
        if given.refreshable:
            live = option.effect is Effect.LIVE
            line += " [REFRESHABLE]" if live else " [NOT REFRESHABLE]"
        print_line(line)
        if given.with_help:
            print_line(f"    {option.help}")
            print_line(f"    Default: {option.default or 'empty'}")
    return 0


def _describe(option: Option, *, as_json: bool) -> int:
    if as_json:
        print_json(_facts(option))
        return 0
    print_line(option.name)
    print_line(f"  {option.help}")
    print_line(f"  Type:    {option.type.description}")
    print_line(f"  Default: {option.default or 'empty'}")
    print_line(f"  Effect:  {option.effect.sentence}")
    print_line(f"  Since:   {option.since}")
    return 0


def _facts(option: Option) -> dict[str, JsonValue]:
    return {
        "name": option.name,
        "type": option.type.description,
        "default": _json_value(option, option.default),
        "effect": option.effect.value,
        "since": option.since,
        "help": option.help,
    }


def _record(option: Option, configuration: Configuration) -> dict[str, JsonValue]:
    return {
        "name": option.name,
        "value": _json_value(option, configuration.text(option.name)),
        "set": configuration.is_set(option.name),
        "default": _json_value(option, option.default),
        "effect": option.effect.value,
    }


def _json_value(option: Option, text: str) -> JsonValue:
    return option.type.parse(text)


def _import(path: Path, name: str) -> int:
    source = Path("standard input" if name == "-" else name)
    settings = validated_settings(parse_option_lines(_import_content(name)), source)
    change_options(path, {option: setting.text for option, setting in settings.items()})
    live = all(REGISTRY[option].effect is Effect.LIVE for option in settings)
    effect = Effect.LIVE if live else Effect.RESTART
    print_message(f"{len(settings)} options set: {effect.sentence}")
    return 0


def _import_content(name: str) -> bytes:
    if name == "-":
        return sys.stdin.buffer.read(LARGEST_FILE + 1)
    with Path(name).open("rb") as stream:
        return stream.read(LARGEST_FILE + 1)


def _verify(path: Path) -> int:
    configuration = load_configuration(path)
    count = sum(configuration.is_set(name) for name in REGISTRY.names())
    print_message(f"{path}: {count} options set, all of them valid")
    return 0


if __name__ == "__main__":
    sys.exit(main())
