from __future__ import annotations

from mailfront.interfaces.forwarded_client import NOTHING_TOLD, ForwardedClient

ALL = ForwardedClient("192.0.2.7", 40000, 4, "abc")


def test_of_a_stranger_only_the_limit_is_believed() -> None:
    assert ALL.limits_alone() == ForwardedClient(time_to_live=4)


def test_what_is_told_later_counts_and_the_time_to_live_never_grows() -> None:
    assert ForwardedClient("192.0.2.8", 1, 9).over(ALL) == ForwardedClient("192.0.2.8", 1, 4, "abc")
    assert ForwardedClient(time_to_live=2).over(ALL) == ForwardedClient(
        "192.0.2.7", 40000, 2, "abc"
    )
    assert ALL.over(NOTHING_TOLD) == ALL
