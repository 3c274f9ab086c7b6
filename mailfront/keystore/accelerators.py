"""Which token signs with the keys of the internal one: what `modutil -default` asks for.

Takes the installed modules and what the last look found on their tokens; gives the token for a
family of keys, or why there is none. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from mailfront.keystore.pkcs11.modules import Module
from mailfront.keystore.pkcs11.survey import SurveyedToken

# The families of keys, as records name them, and modutil's names of them.
MECHANISM_OF = {"rsa": "RSA", "ec": "EC"}


def accelerator_for(
    family: str, modules: Iterable[Module], tokens: Sequence[SurveyedToken]
) -> SurveyedToken | None:
    """Return the token that is lent the keys of a family: the first usable one of the module
    that is the default for them. None if no module is, or none of its tokens can be used."""
    mechanism = MECHANISM_OF.get(family)
    for module in modules:
        if mechanism in module.default_for:
            usable = (one for one in tokens if one.description.module == module.name)
            return next((one for one in usable if not one.fault), None)
    return None


def accelerator_faults(modules: Iterable[Module], tokens: Sequence[SurveyedToken]) -> Iterator[str]:
    """Why modules that are the default for RSA or EC cannot sign with keys of the database."""
    for module in modules:
        wanted = [name for name in MECHANISM_OF.values() if name in module.default_for]
        own = [one for one in tokens if one.description.module == module.name]
        if not wanted or any(not one.fault for one in own):
            continue
        reasons = [one.fault for one in own] or ["none of its tokens is there"]
        yield (
            f"the module {module.name!r} does not sign with the {' and '.join(wanted)} keys of the "
            f"certificate database, they are used in software: {'; '.join(reasons)}"
        )
