from __future__ import annotations

from pathlib import Path

import pytest

from mailfront.authentication.certmap_properties import Mapping
from mailfront.authentication.mapping_function import load_function
from mailfront.errors import ConfigurationError

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
