"""Images of objects: everything that can change goes back in place, and what can't be held is named."""

from __future__ import annotations

import threading
from array import array
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from random import Random
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.object_image import Image, ImageError


@dataclass(slots=True)
class Slotted:
    name: str
    later: int = field(init=False)


@dataclass(frozen=True)
class Frozen:
    names: list[str]


class Named(NamedTuple):
    names: list[str]


class Both(Slotted):
    """Slots of its base, and attributes of its own."""


class Numbers(dict[str, int]):
    """A mapping with an attribute."""

    def __init__(self) -> None:
        super().__init__(a=1)
        self.seen = [1]


def counter() -> Callable[[], int]:
    """A closure that changes what it closes over."""
    count = 0

    def more() -> int:
        nonlocal count
        count += 1
        return count

    return more


VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3) | st.tuples(inner, inner)
    ),
    max_leaves=20,
)


def spoil(found: Any) -> None:
    """Change every list and mapping that can be reached."""
    if isinstance(found, tuple | list):
        for each in found:
            spoil(each)
    if isinstance(found, dict):
        for each in list(found.values()):
            spoil(each)
        found["spoilt"] = found.pop(next(iter(found), ""), 1)
    if isinstance(found, list):
        found.reverse()
        found.append(found[0] if found else 0)


class TestImages:
    @given(VALUES)
    def test_nested_containers(self, value: Any) -> None:
        """Containers within containers are what they were, in the same order, and the same objects."""
        image, before = Image([value]), repr(value)
        for _ in range(2):
            spoil(value)
            image.restore()
            assert repr(value) == before

    @pytest.mark.parametrize(
        ("found", "change"),
        [
            (OrderedDict(a=1, b=2), lambda each: each.move_to_end("a")),
            (defaultdict(list, a=[1]), lambda each: each["a"].append(each["b"])),
            (Counter("aab"), lambda each: each.update("b")),
            (deque([1, 2], maxlen=2), lambda each: each.append(3)),
            ({1, 2}, lambda each: each.add(3)),
            (bytearray(b"ab"), lambda each: each.append(1)),
            (array("q", [1, 2]), lambda each: each.append(3)),
        ],
    )
    def test_containers(self, found: Any, change: Callable[[Any], object]) -> None:
        """Every kind of container goes back."""
        before = repr(found)
        image = Image(found)
        change(found)
        assert repr(found) != before
        image.restore()
        assert repr(found) == before

    def test_attributes(self) -> None:
        """Attributes and slots go back, those too that were not set or did not exist; frozen ones are looked into."""
        slotted, both, frozen, named, numbers = Slotted("a"), Both("b"), Frozen(["c"]), Named(["d"]), Numbers()
        image = Image([slotted, both, frozen, named, numbers])
        slotted.name, slotted.later = "x", 1
        both.later, both.extra = 2, 3  # type: ignore[attr-defined]
        for names in (frozen.names, named.names):
            names.clear()
        numbers["b"] = numbers.pop("a")
        numbers.seen.append(2)
        image.restore()
        assert (slotted.name, hasattr(slotted, "later")) == ("a", False)
        assert (hasattr(both, "later"), vars(both)) == (False, {})
        assert (frozen.names, named.names, numbers, numbers.seen) == (["c"], ["d"], {"a": 1}, [1])

    def test_who_holds_an_object_goes_on_holding_it(self) -> None:
        """Objects are changed in place: whoever held one holds the right one, by closures and bound methods too."""
        inner: list[int] = [1]
        more, waiting = counter(), [partial(inner.append, 2), inner.pop, MappingProxyType({"a": inner})]
        image = Image(waiting, more)
        assert [more(), more()] == [1, 2]
        inner.extend([5, 6])
        image.restore()
        assert (more(), inner) == (1, [1])

    def test_random_generators(self) -> None:
        """A generator draws again what it drew."""
        random = Random(1)
        image = Image({"random": random})
        drawn = [random.random() for _ in range(3)]
        image.restore()
        assert [random.random() for _ in range(3)] == drawn

    def test_cycles(self) -> None:
        """Objects that hold each other are captured once."""
        first: dict[str, Any] = {}
        first["self"] = [first, first]
        image = Image(first)
        first.clear()
        image.restore()
        assert (first["self"][1] is first, len(image)) == (True, 2)

    def test_deep(self) -> None:
        """A chain is followed however long it is."""
        chain: list[Any] = []
        end = chain
        for _ in range(50_000):
            end.append([])
            end = end[0]
        image = Image(chain)
        end.append(1)
        image.restore()
        assert end == []

    def test_handles_are_passed_over(self) -> None:
        """Locks and what else belongs to the process stay as they are; so do types that are named."""
        lock, kept = threading.Lock(), Slotted("a")
        image = Image([lock, kept], keep=(Slotted,))
        kept.name = "b"
        lock.acquire()
        image.restore()
        assert (kept.name, lock.locked()) == ("b", True)
        assert not image.holds(Slotted)

    @pytest.mark.parametrize(
        "found", [BytesIO(b"a"), iter([1]), (each for each in "ab"), type("File", (BytesIO,), {})()]
    )
    def test_refused(self, found: Any) -> None:
        """What has contents that can't be had is refused by name, with who holds it."""
        with pytest.raises(ImageError, match=r"no image can hold a .*, which a list holds"):
            Image([found])
