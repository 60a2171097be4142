"""The comparison itself: what counts as alike, what is listed, in which order checks run. Needs no Samba."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from conformance.catalogue import Area, Catalogue, Course
from conformance.judge import Difference, Failed, alike, contrast, judge, read_differences
from conformance.lab import Lab, Said, said
from conformance.runner import run

LISTED = Difference("windows", "Windows does so")


class Bench:
    """A server without a directory: a clock, and a diary of what it was told."""

    base, domain, name = "DC=contoso,DC=example", "contoso.example", "bench"

    def __init__(self) -> None:
        self.now = datetime(2017, 1, 13, tzinfo=UTC)
        self.diary: list[Any] = []

    def set_clock(self, now: datetime) -> None:
        """Move the clock."""
        self.now = now

    def set_policy(self, values: dict[str, str]) -> None:
        """Note a policy."""
        self.diary.append(dict(values))

    def tidy(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize(
    ("theirs", "ours", "expected"),
    [
        (Said(19, "0000052D"), Said(19, "0000052D"), True),
        (Said(19), Said(19, "0000052D"), True),
        (Said(19, "0000052D"), Said(19), False),
        (Said(19, "00000056"), Said(19, "0000052D"), False),
        (Said(19), Said(53), False),
        (Said(19, "0000202F"), Said(19, "000020B1"), True),
        (Said(53, "0000202F"), Said(53, "000020B1"), False),
        (Said(32), Said(32, "", "DC=a"), True),
        (Said(32, "", "DC=a"), Said(32, "", "dc=A"), True),
        (Said(32, "", "DC=a"), Said(32, "", "DC=b"), False),
        ([1, {"a": Said(0)}], (1, {"a": Said(0)}), True),
        ([1, 2], [1], False),
        ({"a": 1}, {"b": 1}, False),
        (1, True, False),
        ("now", "now-1s", False),
        (None, [], False),
        ("ab", ["a", "b"], False),
    ],
)
def test_alike(theirs: object, ours: object, expected: bool) -> None:
    """Observations are compared all through; only a Win32 code that Samba does not tell is passed over."""
    assert alike(theirs, ours) is expected


@pytest.mark.parametrize(
    ("theirs", "ours", "listed", "word"),
    [
        (1, 1, None, "agree"),
        (1, 2, None, "unlisted"),
        (1, 2, LISTED, "differ"),
        (1, 1, LISTED, "stale"),
        (Failed("x"), 1, LISTED, "failed"),
        (Failed("x"), Failed("x"), None, "failed"),
    ],
)
def test_verdict(theirs: object, ours: object, listed: Difference | None, word: str) -> None:
    """A listed difference stands, an unlisted or stale one does not, and a check that fails is never well."""
    verdict = judge(theirs, ours, listed)
    assert verdict.word == word
    assert verdict.good is (word in ("agree", "differ"))


def test_contrast_names_the_place() -> None:
    """Only the parts that differ are shown, with where they are."""
    theirs, ours = {"a": [1, Said(0)], "b": 1}, {"a": [1, Said(49, "52e")], "c": 1}
    assert list(contrast(theirs, ours)) == [
        "a[1]: Samba 0; ours 49 52e",
        "b: Samba 1; ours (absent)",
        "c: Samba (absent); ours 1",
    ]


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        (0, "00000000: Success", Said(0)),
        (19, "0000052D: too short", Said(19, "0000052D")),
        (32, "No such Base DN: x", Said(32)),
        (
            49,
            "80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data 52e, v1db1",
            Said(49, "52e"),
        ),
    ],
)
def test_answers(code: int, text: str, expected: Said) -> None:
    """Of an answer its code, its Win32 code and a bind's sub-code are kept."""
    assert said({"result": code, "message": text, "dn": ""}) == expected


@pytest.mark.parametrize(
    "text",
    [
        '[[difference]]\nkind = "windows"\nreason = "x"',
        '[[difference]]\nkind = "samba"\nreason = "x"\nchecks = ["a/b"]',
        '[[difference]]\nkind = "scope"\nreason = " "\nchecks = ["a/b"]',
        '[[difference]]\nkind = "scope"\nreason = "x"\nchecks = ["a/b", "a/b"]',
    ],
)
def test_malformed_lists(tmp_path: Path, text: str) -> None:
    """A list of differences says kind, reason and checks, and each check once."""
    path = tmp_path / "differences.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"differences\.toml"):
        read_differences(path)


def test_shipped_list() -> None:
    """The list that is shipped is well formed."""
    read_differences()


def checks_of(**doings: Callable[[Lab], Any]) -> list[Any]:
    """A table of checks of one area that take time."""
    catalogue = Catalogue()
    area = Area("area", catalogue)
    for name, do in doings.items():
        do.__name__ = name
        area.with_policy(timed=True, minPwdAge="5")(do)
    return list(catalogue)


def test_side_by_side() -> None:
    """Checks that take time share the jumps of the clock; a policy holds meanwhile and is put back."""
    bench, moments = Bench(), []

    def waits(*minutes: int) -> Callable[[Lab], Course]:
        def do(lab: Lab) -> Course:
            for pause in minutes:
                yield timedelta(minutes=pause)
                moments.append((minutes, lab.now.minute))
            return lab.now.minute

        return do

    seen = run(bench, checks_of(one=waits(5, 10), two=waits(10, 1)))  # type: ignore[arg-type]
    assert seen == {"area/one": 15, "area/two": 11}
    assert moments == [((5, 10), 5), ((10, 1), 10), ((10, 1), 11), ((5, 10), 15)]
    assert bench.diary == [{"minPwdAge": "5"}, {"minPwdAge": "0"}]


def test_mishaps_stay_alone() -> None:
    """A check that cannot be carried through fails by itself."""

    def breaks(lab: Lab) -> object:
        raise ValueError(lab.mine)

    seen = run(Bench(), checks_of(breaks=breaks, works=lambda lab: 5))  # type: ignore[arg-type]
    assert seen == {"area/breaks": Failed("ValueError: k001"), "area/works": 5}


def test_names_of_checks_are_unique() -> None:
    """Two checks of one name are an error."""
    area = Area("area", Catalogue())
    area.check(lambda lab: lab.mine)
    with pytest.raises(ValueError, match="two checks"):
        area.check(lambda lab: lab.mine)
