"""Next hops take turns; one that is down rests for all its messages, then one attempt is enough."""

from __future__ import annotations

from mailfront.outgoing.hops import Hops


def turns(hops: Hops) -> list[str]:
    found = []
    while (hop := hops.next_ready()) is not None:
        found.append(hop.name)
    return found


def test_those_that_are_ready_take_turns_in_order() -> None:
    hops = Hops()
    for name in ("a", "b", "a"):
        hops.make_ready(name, 0.0)
    assert turns(hops) == ["a", "b"]


def test_one_that_waits_becomes_ready_in_its_time_and_once() -> None:
    hops = Hops()
    for moment in (9.0, 5.0, 7.0):
        hops.wake_at("a", moment)
    hops.wake(4.0)
    assert turns(hops) == []
    hops.wake(100.0)
    assert turns(hops) == ["a"]
    hops.wake(200.0)
    assert turns(hops) == []


def test_one_that_is_down_rests_whatever_comes_for_it() -> None:
    hops = Hops()
    hops.went_down("a", 50.0, 0)
    hops.make_ready("a", 10.0)
    hops.wake_at("a", 20.0)
    hops.wake(30.0)
    assert turns(hops) == []
    assert [hop.name for hop in hops.resting] == ["a"]
    hops.wake(50.0)
    assert turns(hops) == ["a"]


def may_begin(hops: Hops) -> bool:
    return hops["a"].may_begin


def test_after_its_rest_one_job_shows_whether_it_is_up_again() -> None:
    hops = Hops()
    hops["a"].most_jobs = 3
    hops["a"].under_way.add("one")
    assert may_begin(hops)
    hops.went_down("a", 50.0, 0)
    assert not may_begin(hops)
    hops.came_up("a")
    assert may_begin(hops)
    assert hops.resting == []


def test_jobs_that_fail_together_are_one_failure() -> None:
    hops = Hops()
    began = hops["a"].generation
    for until in (50.0, 49.0, 90.0):
        hops.went_down("a", until, began)
    assert (hops["a"].failures, hops["a"].rests_until) == (1, 50.0)
    hops.went_down("a", 90.0, hops["a"].generation)
    assert (hops["a"].failures, hops["a"].rests_until) == (2, 90.0)


def test_what_failed_before_it_came_up_again_is_no_news() -> None:
    hops = Hops()
    began = hops["a"].generation
    hops.went_down("a", 50.0, began)
    hops.came_up("a")
    hops.went_down("a", 60.0, began)
    assert hops.resting == []


def test_one_for_which_nothing_waits_is_forgotten() -> None:
    hops = Hops()
    hop = hops["a"]
    hop.under_way.add("one")
    hops.forget(hop)
    assert "a" in hops
    hop.under_way.clear()
    hops.forget(hop)
    assert "a" not in hops
    assert len(hops) == 0


def test_what_is_waited_for_costs_no_memory_by_being_said_again() -> None:
    hops = Hops()
    hops.went_down("a", 1000.0, 0)
    for moment in range(500):
        hops.make_ready("a", float(moment))
    hops.wake(1000.0)
    assert turns(hops) == ["a"]
    assert not hops["a"].wakes_at
