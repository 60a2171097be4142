"""The event queue: time first, then the rank within the instant, then the order in which things were queued."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from simulator.queue import EventQueue, Rank

START = datetime(2017, 1, 13, 9, tzinfo=UTC)


def drain(queue: EventQueue) -> None:
    while queue.head() is not None:
        queue.pop()()


def test_empty() -> None:
    """An empty queue has no head."""
    assert EventQueue().head() is None


def test_head_stays() -> None:
    """Looking at the head takes nothing out."""
    queue = EventQueue()
    queue.push(START, Rank.EXPECTATION, lambda: None)
    assert queue.head() == queue.head() == (START, Rank.EXPECTATION)


def test_ranks_within_an_instant() -> None:
    """What a harness puts in place, actions, then what else is due, then cycles, then expectations."""
    assert sorted(Rank) == [Rank.FIRST, Rank.ACTION, Rank.BACKGROUND, Rank.CYCLE, Rank.EXPECTATION, Rank.END]


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(list(Rank))), max_size=40))
def test_order(events: list[tuple[int, Rank]]) -> None:
    """Whatever is queued in whatever order comes out by time and rank, equals as they were queued."""
    queue, came = EventQueue(), []
    for number, (second, rank) in enumerate(events):
        queue.push(
            START + timedelta(seconds=second),
            rank,
            lambda key=(second, rank, number): came.append(key),  # type: ignore[misc]
        )
    drain(queue)
    assert came == sorted((second, rank, number) for number, (second, rank) in enumerate(events))


@given(st.lists(st.sampled_from([Rank.ACTION, Rank.EXPECTATION]), min_size=1, max_size=20))
def test_queued_while_it_runs(ranks: list[Rank]) -> None:
    """What a call queues for its own instant runs in that instant, after its equals."""
    queue, came = EventQueue(), []

    def call(name: str, rank: Rank) -> None:
        came.append(name)
        if not name.startswith("again"):
            queue.push(START, rank, lambda: call(f"again {name}", rank))

    for number, rank in enumerate(ranks):
        queue.push(START, rank, lambda name=str(number), rank=rank: call(name, rank))  # type: ignore[misc]
    drain(queue)
    for rank in Rank:
        mine = [str(number) for number, each in enumerate(ranks) if each == rank]
        assert [name for name in came if name.split()[-1] in mine] == [*mine, *(f"again {name}" for name in mine)]
