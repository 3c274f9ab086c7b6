"""The PKCS#11 modules of a server root: which libraries give access to which tokens.

The list is `certdb/pkcs11/modules.json`, readable by people and written durably; the built-in
module `Internal (Software) Token` is always its first entry and never stands in the file. Takes
the server root, returns `Module`s; raises `TokenError`. No library is loaded here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from mailfront.configuration.home import ServerRoot
from mailfront.errors import TokenError
from mailfront.keystore.nicknames import INTERNAL_TOKEN, is_internal
from mailfront.keystore.pkcs11.state_files import locked_state, state_directory, write_state

MAXIMUM_FILE = 256 * 1024
MAXIMUM_MODULES = 64
MAXIMUM_NAME = 64
# NSS's names (modutil -mechanisms) of what a module can be the default for.
MECHANISMS = (
    "RSA", "DSA", "EC", "DH", "FORTEZZA", "RC2", "RC4", "RC5", "DES", "AES", "CAMELLIA", "SEED",
    "MD2", "MD5", "SHA1", "SHA256", "SHA512", "SSL", "TLS", "RANDOM", "FRIENDLY",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Module:
    """A PKCS#11 module as it is installed.

    `library` is None for the built-in one. `slot` restricts it to one slot, by its number or its
    description; empty means all. `default_for` is what it does for keys of the internal token. The
    tokens of an `optional` module may be missing, or wait for a person, without that being a
    problem.
    """

    name: str
    library: Path | None
    enabled: bool = True
    slot: str = ""
    default_for: tuple[str, ...] = ()
    optional: bool = False


INTERNAL_MODULE = Module(INTERNAL_TOKEN, None)


def list_file(root: ServerRoot) -> Path:
    """Where the list lies."""
    return state_directory(root) / "modules.json"


def installed_modules(root: ServerRoot) -> list[Module]:
    """Return every installed module, the built-in one first. Raises `TokenError`."""
    path = list_file(root)
    try:
        with path.open("rb") as stream:
            content = stream.read(MAXIMUM_FILE + 1)
    except FileNotFoundError:
        return [INTERNAL_MODULE]
    except OSError as error:
        raise TokenError(f"cannot be read: {error.strerror}", file=path) from error
    return [INTERNAL_MODULE, *parse_modules(content, path)]


def external_modules(root: ServerRoot) -> list[Module]:
    """Return the installed modules that are enabled, without the built-in one."""
    return [module for module in installed_modules(root)[1:] if module.enabled]


def find_module(modules: Iterable[Module], name: str) -> Module:
    """Return the module of that name; `internal` stands for the built-in one."""
    known = list(modules)
    for module in known:
        if module.name == name or (module.library is None and is_internal(name)):
            return module
    names = ", ".join(repr(module.name) for module in known)
    raise TokenError(f"there is no module {name!r}", remedy=f"installed are {names}")


def parse_modules(content: bytes, path: Path) -> list[Module]:
    """Return the modules in the text of a list file. Raises `TokenError`."""
    if len(content) > MAXIMUM_FILE:
        raise TokenError("larger than any list of modules", file=path)
    try:
        modules = [_parse_module(entry) for entry in json.loads(content)["modules"]]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise TokenError(
            "is no list of PKCS#11 modules",
            remedy="restore it, or delete it and add the modules again with `mailfront modutil`",
            file=path,
        ) from error
    if len({module.name for module in modules}) != len(modules):
        raise TokenError("names a module twice", remedy="delete one of them", file=path)
    return modules


def _parse_module(entry: object) -> Module:
    if not isinstance(entry, dict):
        raise TypeError
    library = Path(_text(entry["library"]))
    name = _text(entry["name"])
    if not library.is_absolute() or name_fault(name):
        raise ValueError
    return Module(
        name=name,
        library=library,
        enabled=_flag(entry.get("enabled", True)),
        slot=_text(entry.get("slot", "")),
        default_for=_texts(entry.get("default_for", [])),
        optional=_flag(entry.get("optional", False)),
    )


def _text(value: object) -> str:
    if not isinstance(value, str) or (value and not value.isprintable()):
        raise TypeError
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError
    return tuple(map(_text, value))


def format_modules(modules: Sequence[Module]) -> bytes:
    """Return the text of the list file."""
    entries = [
        {
            "name": module.name,
            "library": str(module.library),
            "enabled": module.enabled,
            "slot": module.slot,
            "default_for": list(module.default_for),
            "optional": module.optional,
        }
        for module in modules
        if module.library is not None
    ]
    return json.dumps({"modules": entries}, indent=2, ensure_ascii=False).encode() + b"\n"


def name_fault(name: str) -> str:
    """Why `name` cannot be a module's, or an empty text. It stands before the colon of a
    nickname, in lists divided by commas."""
    if not name or name != name.strip() or not name.isprintable():
        return "it is empty, or has blanks around it or unprintable characters"
    if set(name) & set(",:"):
        return "it has a comma or a colon"
    if len(name) > MAXIMUM_NAME:
        return f"it has more than {MAXIMUM_NAME} characters"
    return ""


def parse_mechanisms(text: str) -> tuple[str, ...]:
    """Return the mechanisms in a list divided by colons, such as `RSA:EC`, in modutil's order.

    Raises `TokenError` for one that modutil does not know.
    """
    wanted = {name.strip().upper() for name in text.split(":") if name.strip()}
    if unknown := sorted(wanted - set(MECHANISMS)):
        raise TokenError(
            f"unknown mechanism {unknown[0]!r}", remedy=f"known are {':'.join(MECHANISMS)}"
        )
    if not wanted:
        raise TokenError("no mechanism is named", remedy="for example RSA:EC")
    return tuple(name for name in MECHANISMS if name in wanted)


class ModuleList:
    """The list while it is being changed; see `changing_modules`."""

    def __init__(self, modules: list[Module]) -> None:
        self._modules = modules

    def modules(self) -> list[Module]:
        """Return every module as it is now."""
        return list(self._modules)

    def add(self, module: Module) -> None:
        """Install a module. Its name and its library must be new."""
        if fault := name_fault(module.name):
            raise TokenError(f"{module.name!r} cannot be the name of a module: {fault}")
        if len(self._modules) > MAXIMUM_MODULES:
            raise TokenError(f"there are {MAXIMUM_MODULES} modules; delete one")
        for other in self._modules:
            if other.name == module.name or (other.library is None and is_internal(module.name)):
                raise TokenError(
                    f"there is a module {other.name!r} already",
                    remedy="choose another name, or delete it first",
                )
            if other.library is not None and _same_library(other.library, module.library):
                raise TokenError(
                    f"the module {other.name!r} is this library already",
                    remedy="one module gives access to all tokens of its library",
                )
        self._modules.append(module)

    def delete(self, name: str) -> None:
        """Uninstall a module."""
        self._modules.remove(self._external(name, "deleted"))

    def enable(self, name: str, *, enabled: bool) -> None:
        """Let the tokens of a module be used, or not."""
        module = self._external(name, "enabled or disabled")
        self._put(module, replace(module, enabled=enabled))

    def set_default_for(self, name: str, mechanisms: Sequence[str]) -> None:
        """Set what a module does for keys of the internal token. A mechanism has one default."""
        module = find_module(self._modules, name)
        for other in self._modules:
            left = tuple(each for each in other.default_for if each not in mechanisms)
            self._put(other, replace(other, default_for=left))
        if module.library is not None:
            module = find_module(self._modules, name)
            self._put(module, replace(module, default_for=tuple(mechanisms)))

    def _external(self, name: str, done: str) -> Module:
        module = find_module(self._modules, name)
        if module.library is None:
            raise TokenError(f"the built-in module {INTERNAL_TOKEN!r} cannot be {done}")
        return module

    def _put(self, old: Module, new: Module) -> None:
        self._modules[self._modules.index(old)] = new


@contextmanager
def changing_modules(root: ServerRoot) -> Iterator[ModuleList]:
    """Return the list for the block to change; durable at its end. Others wait meanwhile."""
    with locked_state(root):
        changed = ModuleList(installed_modules(root))
        yield changed
        write_state(list_file(root), format_modules(changed.modules()))


def _same_library(one: Path, other: Path | None) -> bool:
    try:
        return other is not None and one.samefile(other)
    except OSError:
        return one == other
