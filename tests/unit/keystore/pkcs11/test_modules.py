"""The list of PKCS#11 modules: kept, read back, and changed without contradiction."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.configuration.home import ServerRoot
from mailfront.errors import TokenError
from mailfront.keystore.nicknames import INTERNAL_TOKEN
from mailfront.keystore.pkcs11.modules import (
    INTERNAL_MODULE,
    Module,
    changing_modules,
    external_modules,
    find_module,
    format_modules,
    installed_modules,
    list_file,
    name_fault,
    parse_mechanisms,
    parse_modules,
)

ONE = Module("one", Path("/opt/one.so"), slot="7", default_for=("RSA",), optional=True)
TWO = Module("two", Path("/opt/two.so"), enabled=False)


@pytest.fixture
def root(tmp_path: Path) -> ServerRoot:
    return ServerRoot(tmp_path)


def add(root: ServerRoot, *modules: Module) -> None:
    with changing_modules(root) as changed:
        for module in modules:
            changed.add(module)


def test_without_a_list_there_is_the_internal_module_alone(root: ServerRoot) -> None:
    assert installed_modules(root) == [INTERNAL_MODULE]
    assert external_modules(root) == []


def test_what_is_added_is_read_back_and_only_its_owner_reads_the_file(root: ServerRoot) -> None:
    add(root, ONE, TWO)
    assert installed_modules(root) == [INTERNAL_MODULE, ONE, TWO]
    assert external_modules(root) == [ONE]
    assert list_file(root).stat().st_mode & 0o7777 == 0o600
    assert list_file(root).parent.stat().st_mode & 0o7777 == 0o700


def test_the_file_is_for_people(root: ServerRoot) -> None:
    add(root, ONE)
    entries = json.loads(list_file(root).read_text())["modules"]
    assert entries[0]["library"] == "/opt/one.so"
    assert list_file(root).read_text().count("\n") > len(entries[0])


def test_a_change_that_fails_changes_nothing(root: ServerRoot) -> None:
    add(root, ONE)
    with pytest.raises(TokenError):
        add(root, TWO, TWO)
    assert installed_modules(root) == [INTERNAL_MODULE, ONE]


@pytest.mark.parametrize("name", ["one", "internal", INTERNAL_TOKEN, "", " x", "a:b", "a,b", "a\n"])
def test_a_name_that_is_taken_or_cannot_stand_in_a_nickname_is_refused(
    root: ServerRoot, name: str
) -> None:
    add(root, ONE)
    with pytest.raises(TokenError):
        add(root, Module(name, Path("/opt/other.so")))


def test_a_library_is_one_module_under_whatever_path(root: ServerRoot, tmp_path: Path) -> None:
    library = tmp_path / "library.so"
    library.touch()
    (tmp_path / "link.so").symlink_to(library)
    add(root, Module("first", library))
    with pytest.raises(TokenError, match="'first' is this library"):
        add(root, Module("second", tmp_path / "link.so"))


def test_modules_are_deleted_enabled_and_disabled(root: ServerRoot) -> None:
    add(root, ONE, TWO)
    with changing_modules(root) as changed:
        changed.delete("one")
        changed.enable("two", enabled=True)
    assert [module.name for module in external_modules(root)] == ["two"]


@pytest.mark.parametrize("name", ["internal", INTERNAL_TOKEN])
def test_the_internal_module_can_neither_be_deleted_nor_disabled(
    root: ServerRoot, name: str
) -> None:
    with pytest.raises(TokenError, match="cannot be"), changing_modules(root) as changed:
        changed.delete(name)
    with pytest.raises(TokenError, match="cannot be"), changing_modules(root) as changed:
        changed.enable(name, enabled=False)


def test_a_mechanism_has_one_default(root: ServerRoot) -> None:
    add(root, ONE, TWO)
    with changing_modules(root) as changed:
        changed.set_default_for("two", ("RSA", "EC"))
    by_name = {module.name: module.default_for for module in installed_modules(root)}
    assert by_name["two"] == ("RSA", "EC")
    assert by_name["one"] == ()
    with changing_modules(root) as changed:
        changed.set_default_for("internal", ("EC",))
    assert find_module(installed_modules(root), "two").default_for == ("RSA",)


def test_an_unknown_module_is_told_with_those_that_exist() -> None:
    with pytest.raises(TokenError, match="'one'"):
        find_module([INTERNAL_MODULE, ONE], "three")


def test_mechanisms_are_read_as_nss_writes_them() -> None:
    assert parse_mechanisms("ec:RSA") == ("RSA", "EC")
    for text in ("", ":", "RSA:ROT13"):
        with pytest.raises(TokenError):
            parse_mechanisms(text)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"[]", b"{}", b'{"modules": 1}', b'{"modules": [1]}', b"\xff", b"[" * 100_000,
        b'{"modules": [{"name": "x", "library": "relative.so"}]}',
        b'{"modules": [{"name": "a:b", "library": "/x.so"}]}',
        b'{"modules": [{"name": "x", "library": "/x.so", "enabled": 1}]}',
        format_modules([ONE, ONE]),
        b" " * 300_000,
    ],
)  # fmt: skip
def test_what_is_no_list_is_refused(content: bytes) -> None:
    with pytest.raises(TokenError):
        parse_modules(content, Path("modules.json"))


@given(st.binary(max_size=200))
def test_reading_never_fails_otherwise(content: bytes) -> None:
    try:
        parse_modules(content, Path("modules.json"))
    except TokenError:
        return


@given(st.text(max_size=70))
def test_a_name_without_fault_is_read_back(name: str) -> None:
    if not name_fault(name):
        module = Module(name, Path("/x.so"))
        assert parse_modules(format_modules([module]), Path("x")) == [module]
