from __future__ import annotations

import re
from pathlib import Path

import pytest

from mailfront.authentication.certificate_names import certificate_names
from mailfront.authentication.certmap_properties import Mapping
from mailfront.authentication.mapping_function import MappingQuestion, load_function
from mailfront.directory.entry import Entry
from mailfront.directory.users_file import parse_users
from mailfront.errors import ConfigurationError
from mailfront.keystore.formats import certificate_der
from mailfront.protocol.distinguished_name import DistinguishedName
from mailfront.protocol.ldap_filter import Filter
from tests.support.client_certificates import client_certificate

PAGE = Path(__file__).parents[3] / "docs" / "certmap.md"

MODULE = """\
async def find(question):
    return None

def not_a_coroutine(question):
    return None
"""


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_mapping_module.py").write_text(MODULE)
    (tmp_path / "own_broken_module.py").write_text("1 / 0\n")


def mapping(module: str) -> Mapping:
    return Mapping("default", None, Path("certmap.conf"), 7, module=module)


def test_a_coroutine_function_is_found_by_its_name() -> None:
    assert load_function(mapping("own_mapping_module:find")).__name__ == "find"


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("own_absent_module:find", "cannot be imported (ModuleNotFoundError"),
        ("own_broken_module:find", "cannot be imported (ZeroDivisionError"),
        ("own_mapping_module:absent", "there is no function absent"),
        ("own_mapping_module:not_a_coroutine", "is no coroutine function: write async def"),
    ],
)
def test_what_cannot_be_called_is_refused_at_the_place_of_the_mapping(
    module: str, message: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_function(mapping(module))
    assert str(caught.value).startswith("certmap.conf:7: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("subject", "found"), [("serialNumber=7,CN=Ann", ["ann@example.test"]), ("CN=Ann", None)]
)
async def test_the_function_of_the_documentation_works(
    tmp_path: Path, subject: str, found: list[str] | None
) -> None:
    example = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert example is not None
    (tmp_path / "own_documented_module.py").write_text(example.group(1))
    users = parse_users(
        b"dn: uid=ann\nmail: ann@example.test\nemployeeNumber: 7\n", tmp_path / "users.ldif"
    )

    async def search(
        base: DistinguishedName | None, condition: Filter, /, *, limit: int = 2
    ) -> list[Entry]:
        return await users.search.find(base, condition, limit)

    certificate = client_certificate(subject)
    names = certificate_names(certificate_der(certificate))
    function = load_function(mapping("own_documented_module:by_number"))
    answer = await function(MappingQuestion(certificate, names, "imap", search))
    assert (None if answer is None else [entry.user for entry in answer]) == found
