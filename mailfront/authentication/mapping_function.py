"""The plug-in point of certmap.conf: a function of one's own in the place of the built-in search.

`NAME:module python.path:function` names a coroutine function. It takes a `MappingQuestion` and
returns the entries that the certificate may stand for, usually found with `question.search`, or
None to have the built-in search done after all. What it returns is judged like any search result:
`verifycert` may single one out, and anything but exactly one entry is no login. It is asked only
about certificates that a CA trusted for clients vouches for. This is what `library` and `InitFn`
were in the original.

    async def by_employee_number(question: MappingQuestion) -> Sequence[Entry] | None:
        number = …  # from question.certificate
        return await question.search(None, Equal("employeeNumber", number), limit=2)
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

from cryptography import x509

from mailfront.authentication.certificate_names import CertificateNames
from mailfront.authentication.certmap_properties import Mapping
from mailfront.directory.entry import Entry
from mailfront.errors import ConfigurationError
from mailfront.protocol.distinguished_name import DistinguishedName
from mailfront.protocol.ldap_filter import Filter


class Search(Protocol):
    """How a directory is searched."""

    async def __call__(
        self, base: DistinguishedName | None, condition: Filter, /, *, limit: int = 2
    ) -> list[Entry]:
        """Return at most `limit` entries at or below `base` (None: the whole directory) that
        fulfil `condition`. Raises `DirectoryUnavailableError`."""
        ...


@dataclass(frozen=True, slots=True)
class MappingQuestion:
    """What a function is asked: who is this, on `service` (imta, imap, pop, http)?"""

    certificate: x509.Certificate
    names: CertificateNames
    service: str
    search: Search


MappingFunction = Callable[[MappingQuestion], Awaitable[Sequence[Entry] | None]]


def load_function(mapping: Mapping) -> MappingFunction:
    """Return the function that `mapping.module` names, its module imported.

    Raises `ConfigurationError` with the place of the mapping.
    """
    path, _, name = mapping.module.partition(":")
    try:
        found = getattr(importlib.import_module(path), name, None)
    except Exception as error:
        raise _fault(
            mapping,
            f"the module {path} cannot be imported ({type(error).__name__}: {error})",
            "install it where mailfront's Python finds it",
        ) from error
    if found is None:
        raise _fault(mapping, f"there is no function {name} in {path}", "correct the name")
    if not inspect.iscoroutinefunction(found):
        raise _fault(mapping, f"{mapping.module} is no coroutine function", "write async def")
    return cast("MappingFunction", found)


def _fault(mapping: Mapping, what: str, remedy: str) -> ConfigurationError:
    return ConfigurationError(what, remedy=remedy, file=mapping.file, line=mapping.line)
