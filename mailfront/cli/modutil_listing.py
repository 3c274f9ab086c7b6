"""What `mailfront modutil -list` prints: the modules, or all about one.

Takes a server root, prints on stdout. The libraries are asked by processes of their own; a token's
PIN is tried as the server would try it, so a wrong one is not tried again.
"""

from __future__ import annotations

from dataclasses import asdict

from mailfront.cli.output import JsonValue, print_json, print_line, print_message, print_table
from mailfront.configuration.home import ServerRoot
from mailfront.errors import TokenError
from mailfront.keystore.pkcs11.inspection import LibraryDescription, inspect_library
from mailfront.keystore.pkcs11.modules import Module, find_module, installed_modules
from mailfront.keystore.pkcs11.survey import Survey, SurveyedToken, survey


def list_modules(root: ServerRoot, *, as_json: bool) -> None:
    """Print every module with its tokens."""
    modules = installed_modules(root)
    try:
        found = survey(root)
    except TokenError as failure:
        print_message(f"warning: {failure}")
        found = Survey()
    if as_json:
        print_json([_record(module, found) for module in modules])
        return
    rows = [_row(module, found) for module in modules]
    print_table(("Module", "Library", "Status", "Tokens", "Default for"), rows)


def list_module(root: ServerRoot, name: str, *, as_json: bool) -> None:
    """Print everything about one module. Raises `TokenError` if its library does not work."""
    module = find_module(installed_modules(root), name)
    if module.library is None:
        _list_internal(module, as_json=as_json)
        return
    library = inspect_library(module.library)
    found = survey(root) if module.enabled else Survey()
    if as_json:
        record = _record(module, found)
        assert isinstance(record, dict)
        described: JsonValue = asdict(library)
        print_json({**record, "library_information": described})
        return
    _print_library(module, library)
    for slot in library.slots:
        print_line(f"Slot {slot.number}: {slot.description}")
        token = next((one for one in _tokens(module, found) if one.description.slot == slot.number),
                     None)  # fmt: skip
        if token is not None:
            _print_token(token)
        elif slot.token:
            print_line(f"  token: {slot.token}")
        else:
            print_line("  no initialised token")
        if slot.mechanisms:
            print_line(f"  mechanisms: {' '.join(slot.mechanisms)}")


def _list_internal(module: Module, *, as_json: bool) -> None:
    if as_json:
        print_json(_record(module, Survey()))
        return
    print_line(f"Module: {module.name}")
    print_line("Library: built in; its keys are in certdb/keystore.sqlite (`msgcert list-certs`)")


def _print_library(module: Module, library: LibraryDescription) -> None:
    print_line(f"Module: {module.name}")
    print_line(f"Library: {module.library}")
    print_line(f"Description: {library.description}, version {library.version}")
    print_line(f"Manufacturer: {library.manufacturer}")
    print_line(f"PKCS#11 version: {library.pkcs11_version}")
    print_line(f"Status: {_status(module, Survey())}")
    if module.slot:
        print_line(f"Restricted to slot: {module.slot}")
    if module.default_for:
        print_line(f"Default for: {':'.join(module.default_for)}")


def _print_token(token: SurveyedToken) -> None:
    description = token.description
    print_line(f"  token: {description.label}")
    print_line(f"  model: {description.model}, serial number {description.serial}")
    print_line(f"  manufacturer: {description.manufacturer}")
    print_line(f"  login: {_login(token)}")
    print_line(f"  certificates: {len(token.certificates)}, private keys: {len(token.keys)}")


def _login(token: SurveyedToken) -> str:
    if token.fault:
        return f"no: {token.fault}"
    if not token.description.login_required:
        return "not needed"
    return "yes, with the PIN of sslpassword.conf"


def _row(module: Module, found: Survey) -> tuple[str, ...]:
    labels = ", ".join(one.description.label for one in _tokens(module, found))
    return (
        module.name,
        "built in" if module.library is None else str(module.library),
        _status(module, found),
        module.name if module.library is None else labels,
        ":".join(module.default_for),
    )


def _status(module: Module, found: Survey) -> str:
    if not module.enabled:
        return "disabled"
    fault = found.module_faults.get(module.name)
    optional = ", optional" if module.optional else ""
    return f"fails: {fault}" if fault else f"enabled{optional}"


def _tokens(module: Module, found: Survey) -> list[SurveyedToken]:
    return [one for one in found.tokens if one.description.module == module.name]


def _record(module: Module, found: Survey) -> JsonValue:
    tokens: list[JsonValue] = [
        {
            "label": one.description.label,
            "model": one.description.model,
            "serial": one.description.serial,
            "manufacturer": one.description.manufacturer,
            "slot": one.description.slot,
            "login": not one.fault,
            "problem": one.fault or None,
            "certificates": [each.nickname for each in one.certificates],
            "private_keys": [each.nickname for each in one.keys],
        }
        for one in _tokens(module, found)
    ]
    return {
        "name": module.name,
        "library": None if module.library is None else str(module.library),
        "enabled": module.enabled,
        "optional": module.optional,
        "slot": module.slot or None,
        "default_for": list(module.default_for),
        "problem": found.module_faults.get(module.name),
        "tokens": tokens,
    }
