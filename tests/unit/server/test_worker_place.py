"""A worker's share of what is limited for all."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from mailfront.configuration.home import ServerRoot
from mailfront.server.worker_place import ALONE, WorkerPlace


@given(st.integers(0, 10**6), st.integers(1, 64))
def test_shares_are_together_no_less_than_the_limit(limit: int, count: int) -> None:
    place = WorkerPlace(0, count)
    assert limit <= place.share(limit) * count < limit + count
    assert place.share(limit) <= place.address_share(limit) <= limit or limit == 0
    assert place.address_share(limit) * count <= 1.5 * limit + count


def test_no_limit_stays_none_and_one_process_has_all() -> None:
    assert WorkerPlace(1, 4).share(0) == WorkerPlace(1, 4).address_share(0) == 0
    assert ALONE.share(7) == ALONE.address_share(7) == 7


def test_the_first_leads_and_each_is_asked_by_itself(tmp_path: Path) -> None:
    root = ServerRoot(tmp_path)
    assert ALONE.leads
    assert ALONE.control_socket(root) == root.control_socket
    places = [WorkerPlace(index, 3) for index in range(3)]
    assert [place.leads for place in places] == [True, False, False]
    assert len({root.control_socket, *(place.control_socket(root) for place in places)}) == 4


async def test_failed_logins_are_limited_per_worker() -> None:
    async def allowed(place: WorkerPlace) -> int:
        throttle, count = place.throttle(), 0
        while not (attempt := await throttle.judge("192.0.2.1", "alice")).refused:
            await throttle.begin(attempt)
            await throttle.failed(attempt)
            count += 1
        return count

    assert await allowed(ALONE) in {20, 21}
    assert await allowed(WorkerPlace(0, 2)) in {10, 11}
    assert await allowed(WorkerPlace(0, 64)) in {6, 7}
