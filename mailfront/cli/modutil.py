"""`mailfront modutil`: the PKCS#11 modules of a server root, with the flags of NSS's modutil.

Takes the parsed arguments, works on the list in `certdb/pkcs11/`; a running server follows within
seconds. Prints data on stdout and messages on stderr.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mailfront.cli.modutil_listing import list_module, list_modules
from mailfront.cli.output import EXIT_OK, print_message
from mailfront.configuration.home import ServerRoot
from mailfront.errors import OperatorError, TokenError
from mailfront.keystore.accelerators import MECHANISM_OF
from mailfront.keystore.pkcs11.inspection import inspect_library
from mailfront.keystore.pkcs11.library_file import check_library
from mailfront.keystore.pkcs11.modules import (
    Module,
    changing_modules,
    find_module,
    installed_modules,
    parse_mechanisms,
)

if TYPE_CHECKING:
    from mailfront.cli.subcommand import Subparsers

DESCRIPTION = """\
Installs, lists and removes PKCS#11 modules: the libraries by which keys in smart cards, HSMs and
software tokens are used. The keys themselves stay where they are.

A module gives access to all tokens of its library. The PIN of each token stands in
config/sslpassword.conf as a line `token label:PIN`; a certificate on a token is named
TOKEN:NICKNAME wherever an option wants a nickname. The built-in module, `Internal (Software)
Token`, is always there."""

EPILOGUE = """\
examples:
  mailfront modutil -add softhsm -libfile /usr/lib/softhsm/libsofthsm2.so
  mailfront modutil -list
  mailfront modutil -list softhsm                what the library, its slots and tokens are
  mailfront modutil -disable softhsm             its tokens are not used until -enable
  mailfront modutil -delete softhsm
  mailfront modutil -default softhsm -mechanisms RSA:EC

mechanisms: RSA DSA EC DH AES and the others that NSS has, divided by colons. A module that is the
default for RSA or EC signs with such keys of the internal database, as an accelerator: the server
puts them on its first usable token for as long as it runs, and the token stores none. What it is
the default for beside these two is kept and has no effect.

Exit status: 0 done, 1 failed, 2 wrong usage."""


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand. Its flags have one hyphen, as NSS's have."""
    parser = subparsers.add_parser(
        "modutil",
        help="install, list and remove PKCS#11 modules (smart cards, HSMs)",
        description=DESCRIPTION,
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = parser.add_argument_group("commands, one of").add_mutually_exclusive_group(
        required=True
    )
    for flag, help_text in (
        ("-add", "install a module under this name; with -libfile"),
        ("-delete", "uninstall a module; nothing on its tokens changes"),
        ("-enable", "let the tokens of a module be used"),
        ("-disable", "do not let the tokens of a module be used"),
        ("-default", "make a module the one for -mechanisms"),
        ("-undefault", "make it no longer the one for -mechanisms"),
    ):
        commands.add_argument(flag, metavar="NAME", help=help_text)
    commands.add_argument(
        "-list", metavar="NAME", nargs="?", const="", default=None,
        help="all modules, or everything about one: library, slots, tokens, mechanisms",
    )  # fmt: skip
    parser.add_argument("-libfile", metavar="PATH", help="the module's library, for -add")
    parser.add_argument(
        "-mechanisms", metavar="LIST", help="for -add, -default and -undefault, such as RSA:EC"
    )
    parser.add_argument(
        "-slot", metavar="SLOT",
        help="for -add: use this slot alone, by its number or description in -list NAME",
    )  # fmt: skip
    parser.add_argument(
        "-optional", action="store_true",
        help="for -add: its tokens may be missing, or need a person, without that being a problem",
    )  # fmt: skip
    parser.add_argument(
        "-force", action="store_true",
        help="for -add: though the library does not work now (hardware that is to come); for "
        "-delete: though an option names a certificate on its tokens",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="for -list: print JSON")
    parser.add_argument("--home", metavar="DIR", help="the server root (else MAILFRONT_HOME)")
    parser.add_argument(
        "-dbdir", metavar="DIR", help="certdb/ of the server root, in place of --home"
    )
    parser.set_defaults(run=run, usage_error=parser.error)


def run(arguments: argparse.Namespace) -> int:
    """Carry out the one command that is named."""
    _check_usage(arguments)
    root = _server_root(arguments)
    root.require_initialised()
    for name, carry_out in _COMMANDS.items():
        if getattr(arguments, name) is not None:
            carry_out(root, arguments)
            return EXIT_OK
    raise AssertionError("argparse demands a command")


def _check_usage(arguments: argparse.Namespace) -> None:
    wrong = arguments.usage_error
    if arguments.add is not None and arguments.libfile is None:
        wrong("-add needs -libfile PATH")
    for command, allowed in (
        ("libfile", ("add",)),
        ("slot", ("add",)),
        ("optional", ("add",)),
        ("mechanisms", ("add", "default", "undefault")),
    ):
        given = getattr(arguments, command)
        if given not in (None, False) and not _one_of(arguments, allowed):
            wrong(f"-{command} goes with {' or '.join('-' + each for each in allowed)}")
    if _one_of(arguments, ("default", "undefault")) and arguments.mechanisms is None:
        wrong("-default and -undefault need -mechanisms LIST")
    if arguments.json and arguments.list is None:
        wrong("--json goes with -list")
    if arguments.dbdir is not None and arguments.home is not None:
        wrong("give --home or -dbdir")


def _one_of(arguments: argparse.Namespace, commands: tuple[str, ...]) -> bool:
    return any(getattr(arguments, command) is not None for command in commands)


def _server_root(arguments: argparse.Namespace) -> ServerRoot:
    if arguments.dbdir is None:
        return ServerRoot.from_environment(arguments.home)
    directory = Path(arguments.dbdir.removeprefix("sql:")).expanduser().absolute()
    return ServerRoot(directory.parent)


def _add(root: ServerRoot, arguments: argparse.Namespace) -> None:
    library = Path(arguments.libfile).expanduser().absolute()
    mechanisms = () if arguments.mechanisms is None else parse_mechanisms(arguments.mechanisms)
    check_library(library)
    works = True
    try:
        inspect_library(library)
    except TokenError as failure:
        if not arguments.force:
            raise
        works = False
        print_message(f"warning: {failure}")
    module = Module(arguments.add, library, slot=arguments.slot or "", optional=arguments.optional)
    with changing_modules(root) as modules:
        modules.add(module)
        if mechanisms:
            modules.set_default_for(module.name, mechanisms)
    print_message(f'Module "{module.name}" added to database.')
    if works:
        _tell_about_pins(root, module)


def _tell_about_pins(root: ServerRoot, module: Module) -> None:
    from mailfront.keystore.passwords import find_password
    from mailfront.keystore.pkcs11.sessions import tokens_of

    for token in tokens_of(module):
        try:
            has_line = find_password(root.sslpassword_conf, token.label) is not None
        except OperatorError as failure:
            print_message(f"warning: {failure}")
            return
        if token.login_required and not has_line:
            print_message(
                f"its token {token.label!r} needs a PIN: add the line `{token.label}:PIN` to "
                f"{root.sslpassword_conf}"
            )


def _delete(root: ServerRoot, arguments: argparse.Namespace) -> None:
    name = arguments.delete
    module = find_module(installed_modules(root), name)
    if not arguments.force and (used := _options_that_name(root, module)):
        raise OperatorError(
            f"{used} names a certificate on a token of {name!r}",
            remedy="change the option first, or say -force",
        )
    with changing_modules(root) as modules:
        modules.delete(name)
    print_message(f'Module "{name}" deleted from database.')


def _options_that_name(root: ServerRoot, module: Module) -> str:
    """The first option that needs a token of the module; empty if none does."""
    from mailfront.configuration.msg_conf import load_configuration
    from mailfront.keystore.pkcs11.sessions import tokens_of
    from mailfront.server.certificates import ALPN, nickname_option, nicknames_of

    try:
        labels = {token.label for token in tokens_of(module)}
    except TokenError:
        # Of a library that does not work, only the module's own name is known.
        labels = set()
    configuration = load_configuration(root.msg_conf)
    for service in ALPN:
        for nickname in nicknames_of(configuration, service):
            token, colon, _ = nickname.partition(":")
            if colon and token.strip() in {*labels, module.name}:
                return nickname_option(configuration, service)
    return ""


def _enable(root: ServerRoot, arguments: argparse.Namespace) -> None:
    with changing_modules(root) as modules:
        modules.enable(arguments.enable, enabled=True)
    print_message(f'Module "{arguments.enable}" enabled.')


def _disable(root: ServerRoot, arguments: argparse.Namespace) -> None:
    with changing_modules(root) as modules:
        modules.enable(arguments.disable, enabled=False)
    print_message(f'Module "{arguments.disable}" disabled.')


def _default(root: ServerRoot, arguments: argparse.Namespace) -> None:
    with changing_modules(root) as modules:
        present = find_module(modules.modules(), arguments.default)
        wanted = parse_mechanisms(arguments.mechanisms)
        modules.set_default_for(present.name, _union(present.default_for, wanted))
    print_message("Default mechanisms changed successfully.")
    without_effect = [name for name in wanted if name not in MECHANISM_OF.values()]
    if present.library is not None and without_effect:
        print_message(
            f"note: {':'.join(without_effect)} has no effect, RSA and EC have: tokens sign, and do "
            "nothing else, with keys of the internal database"
        )


def _undefault(root: ServerRoot, arguments: argparse.Namespace) -> None:
    with changing_modules(root) as modules:
        present = find_module(modules.modules(), arguments.undefault)
        unwanted = parse_mechanisms(arguments.mechanisms)
        left = [each for each in present.default_for if each not in unwanted]
        modules.set_default_for(present.name, left)
    print_message("Default mechanisms changed successfully.")


def _union(present: tuple[str, ...], wanted: tuple[str, ...]) -> tuple[str, ...]:
    return parse_mechanisms(":".join((*present, *wanted)))


def _list(root: ServerRoot, arguments: argparse.Namespace) -> None:
    if arguments.list:
        list_module(root, arguments.list, as_json=arguments.json)
    else:
        list_modules(root, as_json=arguments.json)


_COMMANDS: dict[str, Callable[[ServerRoot, argparse.Namespace], None]] = {
    "add": _add,
    "delete": _delete,
    "list": _list,
    "enable": _enable,
    "disable": _disable,
    "default": _default,
    "undefault": _undefault,
}
