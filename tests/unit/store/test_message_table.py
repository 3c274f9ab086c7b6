from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mailfront.store.flags import DELETED, SEEN
from mailfront.store.index import SummaryRow
from mailfront.store.message_table import MessageTable

# A message's size and date never change: here they follow from its UID.
ROWS = st.builds(
    lambda uid, letters, keywords, modseq: SummaryRow(
        uid, uid * 10, uid + 7, letters, keywords, modseq
    ),
    st.integers(1, 40),
    st.sampled_from(["", "S", "ST", "P", "FRS", "Sa"]),
    st.sampled_from(["", "$Junk", "$Junk one"]),
    st.integers(1, 9),
)
BATCHES = st.lists(
    st.tuples(st.lists(ROWS, max_size=25), st.sets(st.integers(1, 40), max_size=30)), max_size=4
)


@given(BATCHES)
def test_the_columns_agree_with_a_dictionary(
    batches: list[tuple[list[SummaryRow], set[int]]],
) -> None:
    table = MessageTable()
    model: dict[int, SummaryRow] = {}
    for rows, expunged in batches:
        unique = {row.uid: row for row in rows if row.uid not in expunged}
        before = set(model)
        applied = table.apply(sorted(unique.values()), expunged)
        assert applied.expunged == sorted(before & expunged)
        assert applied.arrived == sorted(set(unique) - before)
        assert applied.flagged == sorted(set(unique) & before)
        model = {uid: row for uid, row in {**model, **unique}.items() if uid not in expunged}
        assert list(table.uids) == sorted(model)
        assert table.total_size() == sum(row.size for row in model.values())
        assert table.unseen() == sum("S" not in row.letters for row in model.values())
        assert table.deleted() == sum("T" in row.letters for row in model.values())
        for position, uid in enumerate(table.uids):
            record = table.record(position)
            assert (record.uid, record.size, record.internal_date, record.modseq) == (
                uid,
                model[uid].size,
                model[uid].internal_date,
                model[uid].modseq,
            )


def test_loading_replaces_everything() -> None:
    table = MessageTable()
    table.load([SummaryRow(3, 10, 5, "S", "", 1), SummaryRow(7, 20, 6, "PT", "$Junk", 2)])
    assert len(table) == 2
    assert table.record(1).flags == (DELETED, frozenset({"$Junk", "$Forwarded"}))
    assert table.uids_where(SEEN, SEEN) == [3]
    assert table.count_from(4) == 1
    assert table.uids_changed_since(1) == [7]
    table.load([])
    assert len(table) == 0
    assert table.position(3) is None
