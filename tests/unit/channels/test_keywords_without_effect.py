from mailfront.channels import keywords
from mailfront.channels.keywords_without_effect import WITHOUT_EFFECT


def test_a_keyword_has_an_effect_or_none() -> None:
    line_keywords = keywords.KEYWORDS - WITHOUT_EFFECT.keys()
    assert {"maytls", "submit", "daemon", "backoff", "nodns"} <= line_keywords
    effective = {*keywords._FLAGS, *keywords._VALUES, *keywords._TIMES, *keywords._REFUSED}
    assert not effective & WITHOUT_EFFECT.keys()


def test_those_of_the_originals_own_file_are_known() -> None:
    originals = (
        "single_sys remotehost inner identnonenumeric subdirs pool missingrecipientpolicy "
        "immnonurgent defaulthost logging identnone"
    )
    assert set(originals.split()) <= WITHOUT_EFFECT.keys()


def test_arguments_are_counted() -> None:
    assert WITHOUT_EFFECT["subdirs"] == (1, 1)
    assert WITHOUT_EFFECT["inner"] == (0, 0)
    assert WITHOUT_EFFECT["defaulthost"] == (1, 2)
