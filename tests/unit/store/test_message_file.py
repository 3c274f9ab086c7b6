from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import BackendError
from mailfront.store import message_file
from mailfront.store.message_file import MessageFile

LINE_END_HEAVY = st.lists(st.sampled_from([b"\r", b"\n", b"a", b"."]), max_size=30).map(b"".join)


def with_crlf(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


@pytest.fixture(autouse=True, scope="module")
def tiny_chunks() -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(message_file, "CHUNK", 3)
        yield


@given(LINE_END_HEAVY)
def test_our_own_files_are_served_byte_for_byte(data: bytes) -> None:
    with MessageFile(io.BytesIO(data), len(data), bare_lf=False) as file:
        assert file.read() == data


@given(LINE_END_HEAVY)
def test_bare_lf_becomes_crlf_wherever_the_pieces_are_cut(data: bytes) -> None:
    expected = with_crlf(data)
    with MessageFile(io.BytesIO(data), len(expected), bare_lf=True) as file:
        assert file.read() == expected


@given(LINE_END_HEAVY, st.booleans(), st.integers(0, 40), st.none() | st.integers(0, 40))
def test_a_part_is_the_slice_of_the_whole(
    data: bytes, bare_lf: bool, offset: int, count: int | None
) -> None:
    whole = with_crlf(data) if bare_lf else data
    with MessageFile(io.BytesIO(data), len(whole), bare_lf=bare_lf) as file:
        part = b"".join(file.chunks(offset, count))
    assert part == (whole[offset:] if count is None else whole[offset : offset + count])


def test_a_disk_failure_is_a_temporary_backend_failure() -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(BackendError) as failure:
        MessageFile(Failing(b"x"), 1, bare_lf=False).read()
    assert failure.value.temporary
