"""The properties of a mapping in certmap.conf: their names, values and defaults.

Takes the text of a value, returns the fields of `Mapping` that it sets. The original's are
`DNComps`, `FilterComps`, `verifycert` and `CmapLdapAttr`, with the `FROM=TO` items of its
multiplexor; `SanEmail`, `SanUPN`, `pinned` and `module` are mailfront's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypedDict

from mailfront.configuration.suggest import did_you_mean
from mailfront.protocol.attribute_types import attribute_key
from mailfront.protocol.distinguished_name import DistinguishedName
from mailfront.protocol.ldap_filter import is_attribute_description

COMPONENTS = ("cn", "ou", "o", "c", "l", "st", "mail", "uid", "dc")
"""The attributes of a subject that are ever used; `e` is another name of `mail`."""

_ITEMS = re.compile(r"[,\s]+")
_FUNCTION = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)


class Component(NamedTuple):
    """Take `source` of the subject (one of `COMPONENTS`), write `target` in name or filter."""

    source: str
    target: str


EVERY_COMPONENT = tuple(Component(name, name) for name in COMPONENTS)


@dataclass(frozen=True, slots=True)
class Mapping:
    """One mapping: `issuer` is None for the default. `line` is that of its directive.

    `base`: the components that make the search base; without any, the whole directory is
    searched. `condition`: the components that make the filter; without any, every entry fits.
    `module` is `python.path:function`, or empty.
    """

    name: str
    issuer: DistinguishedName | None
    file: Path
    line: int
    base: tuple[Component, ...] = EVERY_COMPONENT
    condition: tuple[Component, ...] = ()
    verify_certificate: bool = False
    subject_attribute: str = ""
    san_email: bool = False
    san_upn: bool = False
    pinned: bool = False
    module: str = ""

    @property
    def has_base_list(self) -> bool:
        """Whether `DNComps` names components, in contrast to all of them or none."""
        return self.base not in ((), EVERY_COMPONENT)

    @property
    def place(self) -> str:
        """Where the mapping is written."""
        return f"{self.file}:{self.line}"


class Fields(TypedDict, total=False):
    """What a property sets in a `Mapping`."""

    base: tuple[Component, ...]
    condition: tuple[Component, ...]
    verify_certificate: bool
    subject_attribute: str
    san_email: bool
    san_upn: bool
    pinned: bool
    module: str


class PropertyFault(Exception):
    """A value is wrong; the reader of the file adds the place."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.remedy = remedy


class Property(NamedTuple):
    """A property as it is written; `read` returns the fields, and what it left out."""

    name: str
    read: Callable[[str], tuple[Fields, list[str]]]


def _components(value: str) -> tuple[tuple[Component, ...], list[str]]:
    components: list[Component] = []
    ignored: list[str] = []
    for item in _ITEMS.split(re.sub(r"\s*=\s*", "=", value)):
        if not item:
            continue
        source, equals, target = item.partition("=")
        if (equals and not is_attribute_description(target)) or not source:
            raise PropertyFault(f"{item!r} is not FROM=TO", "name two attributes, as in ou=uid")
        key = attribute_key(source)
        if key in COMPONENTS:
            components.append(Component(key, target or key))
        else:
            ignored.append(item)
    if ignored and not components:
        remedy = did_you_mean(ignored[0], COMPONENTS, otherwise=f"known: e {' '.join(COMPONENTS)}")
        raise PropertyFault("no component in the list is known", remedy)
    return tuple(components), ignored


def _base(value: str) -> tuple[Fields, list[str]]:
    components, ignored = _components(value)
    return {"base": components}, ignored


def _condition(value: str) -> tuple[Fields, list[str]]:
    components, ignored = _components(value)
    return {"condition": components}, ignored


def _switch(value: str) -> bool:
    # An empty value means on, as in the original (for old mail and news servers).
    match value.lower():
        case "on" | "":
            return True
        case "off":
            return False
    raise PropertyFault(f"{value!r} is neither on nor off", "write on or off")


def _subject_attribute(value: str) -> tuple[Fields, list[str]]:
    if not is_attribute_description(value):
        what = "the name of an attribute is wanted"
        raise PropertyFault(what, "certSubjectDN is a common one")
    return {"subject_attribute": value}, []


def _module(value: str) -> tuple[Fields, list[str]]:
    if not _FUNCTION.fullmatch(value):
        what = f"{value!r} is not python.path:function"
        raise PropertyFault(what, "name a module that Python finds, and a function in it")
    return {"module": value}, []


_ALL = (
    Property("DNComps", _base),
    Property("FilterComps", _condition),
    Property("verifycert", lambda value: ({"verify_certificate": _switch(value)}, [])),
    Property("CmapLdapAttr", _subject_attribute),
    Property("SanEmail", lambda value: ({"san_email": _switch(value)}, [])),
    Property("SanUPN", lambda value: ({"san_upn": _switch(value)}, [])),
    Property("pinned", lambda value: ({"pinned": _switch(value)}, [])),
    Property("module", _module),
)
PROPERTIES = {known.name.lower(): known for known in _ALL}
"""All properties by their name in lower case."""

_NO_LIBRARY = (
    "shared libraries are not loaded; write the function in Python and name it: "
    "module python.path:function"
)
REFUSED_PROPERTIES = {"library": _NO_LIBRARY, "initfn": _NO_LIBRARY}
"""Names of the original that are not taken, with what to do instead."""
