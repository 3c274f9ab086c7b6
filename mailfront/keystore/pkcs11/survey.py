"""A look at the tokens from a process of its own: what there is, and whether the PIN opens it.

The process that serves never asks a module itself: a library that hangs or crashes costs a look
and not the service, and each look initialises the modules anew, so it sees tokens that came back.
`survey` takes the server root and returns a `Survey`; run as a program, this module is the child,
which writes the same as JSON on its standard output. The PIN is read by the child from the
password file; it is in no argument and no environment.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from mailfront.configuration.home import ServerRoot
from mailfront.errors import KeystoreError, TokenError
from mailfront.keystore import formats
from mailfront.keystore.passwords import find_password
from mailfront.keystore.pkcs11.child import TIME_LIMIT, answer, ask, take_stdout
from mailfront.keystore.pkcs11.modules import Module, external_modules
from mailfront.keystore.pkcs11.objects import read_contents
from mailfront.keystore.pkcs11.sessions import TokenDescription, open_token, tokens_of
from mailfront.keystore.pkcs11.token_records import TokenCertificate, TokenKey


@dataclass(frozen=True, slots=True)
class SurveyedKey:
    """A private key on a token; `public_der` (SubjectPublicKeyInfo) may be unknown: empty."""

    nickname: str
    identifier: bytes
    family: str
    public_der: bytes


@dataclass(frozen=True, slots=True)
class SurveyedCertificate:
    """A certificate on a token (DER), and its key if that is on the same one."""

    nickname: str
    identifier: bytes
    certificate: bytes
    key: SurveyedKey | None


@dataclass(frozen=True, slots=True)
class SurveyedToken:
    """A token, and why it cannot be used (`fault`, empty if it can be; it was logged in then)."""

    description: TokenDescription
    library: Path
    fault: str = ""
    certificates: tuple[SurveyedCertificate, ...] = ()
    keys: tuple[SurveyedKey, ...] = ()


@dataclass(frozen=True, slots=True)
class Survey:
    """All tokens of all enabled modules, and the modules that failed, each with the reason."""

    tokens: tuple[SurveyedToken, ...] = ()
    module_faults: Mapping[str, str] = field(default_factory=dict)


def survey(root: ServerRoot, *, time_limit: float = TIME_LIMIT) -> Survey:
    """Look at the tokens of every enabled module. Raises `TokenError` if the look itself fails."""
    if not external_modules(root):
        return Survey()
    return parse_survey(ask(__name__, str(root.path), time_limit=time_limit))


def look(root: ServerRoot) -> Survey:
    """Look at the tokens in this process, which then must not serve."""
    found: list[SurveyedToken] = []
    faults: dict[str, str] = {}
    for module in external_modules(root):
        try:
            found += (_surveyed(root, module, each) for each in tokens_of(module))
        except TokenError as failure:
            faults[module.name] = str(failure)
    return Survey(tuple(found), faults)


def _surveyed(root: ServerRoot, module: Module, description: TokenDescription) -> SurveyedToken:
    assert module.library is not None
    label = description.label
    try:
        if description.login_required and find_password(root.sslpassword_conf, label) is None:
            raise TokenError(
                f"there is no line for the token {label!r}",
                remedy=f"add the line `{label}:` followed by its PIN",
                file=root.sslpassword_conf,
            )
        with open_token(root, label) as session:
            contents = read_contents(session)
    except KeystoreError as failure:
        return SurveyedToken(description, module.library, fault=str(failure))
    return SurveyedToken(
        description,
        module.library,
        certificates=tuple(map(_certificate, contents.certificates)),
        keys=tuple(map(_key, contents.keys)),
    )


def _key(key: TokenKey) -> SurveyedKey:
    return SurveyedKey(key.nickname, key.identifier, key.family, key.public_der)


def _certificate(one: TokenCertificate) -> SurveyedCertificate:
    return SurveyedCertificate(
        one.nickname,
        one.identifier,
        formats.certificate_der(one.certificate),
        None if one.key is None else _key(one.key),
    )


def format_survey(found: Survey) -> bytes:
    """Return a survey as JSON."""
    return json.dumps(asdict(found), default=_plain).encode()


def _plain(value: object) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    assert isinstance(value, Path)
    return str(value)


def parse_survey(content: bytes) -> Survey:
    """Return the survey in the child's answer. Raises `TokenError`."""
    try:
        found = json.loads(content)
        return Survey(
            tuple(map(_read_token, found["tokens"])),
            {str(name): str(fault) for name, fault in found["module_faults"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise TokenError("what a PKCS#11 module printed spoilt the answer about it") from error


def _read_token(one: Mapping[str, Any]) -> SurveyedToken:
    return SurveyedToken(
        description=TokenDescription(**one["description"]),
        library=Path(one["library"]),
        fault=str(one["fault"]),
        certificates=tuple(map(_read_certificate, one["certificates"])),
        keys=tuple(map(_read_key, one["keys"])),
    )


def _read_certificate(one: Mapping[str, Any]) -> SurveyedCertificate:
    return SurveyedCertificate(
        str(one["nickname"]),
        base64.b64decode(one["identifier"]),
        base64.b64decode(one["certificate"]),
        None if one["key"] is None else _read_key(one["key"]),
    )


def _read_key(one: Mapping[str, Any]) -> SurveyedKey:
    return SurveyedKey(
        str(one["nickname"]),
        base64.b64decode(one["identifier"]),
        str(one["family"]),
        base64.b64decode(one["public_der"]),
    )


def main() -> NoReturn:
    """Write the survey of the server root in the first argument."""
    stdout = take_stdout()
    answer(stdout, format_survey(look(ServerRoot(Path(sys.argv[1])))))


if __name__ == "__main__":
    main()
