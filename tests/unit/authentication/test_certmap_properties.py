from pathlib import Path

import pytest

from mailfront.authentication.certmap_properties import (
    COMPONENTS,
    EVERY_COMPONENT,
    PROPERTIES,
    REFUSED_PROPERTIES,
    Component,
    Mapping,
    PropertyFault,
)


def test_every_property_of_the_original_is_known_or_refused_with_a_reason() -> None:
    original = {"dncomps", "filtercomps", "verifycert", "cmapldapattr", "library", "initfn"}
    assert original <= PROPERTIES.keys() | REFUSED_PROPERTIES.keys()
    assert not PROPERTIES.keys() & REFUSED_PROPERTIES.keys()


def test_a_list_of_components_is_told_from_all_and_none() -> None:
    def has_list(base: tuple[Component, ...]) -> bool:
        return Mapping("m", None, Path("f"), 1, base=base).has_base_list

    assert not has_list(EVERY_COMPONENT)
    assert not has_list(())
    assert has_list((Component("o", "o"),))


@pytest.mark.parametrize("component", COMPONENTS)
def test_each_component_may_be_listed(component: str) -> None:
    fields, ignored = PROPERTIES["filtercomps"].read(component.upper())
    assert fields == {"condition": (Component(component, component),)}
    assert ignored == []


def test_a_wrong_value_is_told_with_a_remedy() -> None:
    with pytest.raises(PropertyFault) as caught:
        PROPERTIES["verifycert"].read("maybe")
    assert caught.value.remedy == "write on or off"
