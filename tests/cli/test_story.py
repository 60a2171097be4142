"""Scenarios told in plain words."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from simulator.report import sentences
from simulator.report.story import fill, story, tell_count, tell_fault, tell_value
from simulator.scenario import model
from simulator.scenario.file import load
from simulator.scenario.rules import RULES
from simulator.scenario.values import Count

GOOD = sorted(Path(__file__).parents[1].glob("scenario_file/good/*.yaml"))

STORY = """\
scenario: An administrator's reset holds until the next on-premises change
why: >
  A reset in the cloud replaces the synchronized password.
rules: [override.admin-reset]
given:
  users:
    - {name: alice, password: "Winter-2016!"}
    - {name: bob, password: "Autumn-2016!", enabled: false}
faults:
  - {on: cloud.set-passwords, call: 1, answer: 429, retry-after: 90s}
timeline:
  - at: +5m
    do: {cloud.reset-password: {user: alice, password: "short"}}
    expect:
      - refused: password-too-weak
  - at: +6m
    expect:
      - cloud.user: {user: alice, source: admin-reset, expires: +90d6m}
      - cloud.writes: {user: alice, by: sync, since: +0s, count: 0}
"""

TOLD = """\
An administrator's reset holds until the next on-premises change
(told; profile 2017, seed 1, begins 2017-01-13 09:00:00 UTC)

Why
  A reset in the cloud replaces the synchronized password.

At the start
  Everything below is synchronized and quiet; the next password cycle runs at +2m, the next
  object cycle at +30m.
  Users on premises:
    alice: password "Winter-2016!".
    bob: enabled false, password "Autumn-2016!".

What goes wrong
  Every attempt on cloud.set-passwords (call 1 of it only) is answered with HTTP 429, with
  Retry-After 1m30s.

What happens, and what must hold
  +5m  An administrator resets alice's cloud password to "short".
       Then this is refused: password-too-weak.
  +6m  Then the cloud's account of alice is so (source admin-reset, expires +90d6m).
       Then passwords were written in the cloud never for alice by sync since +0s.

The rules that this shows
  override.admin-reset: """


def test_story(tmp_path: Path) -> None:
    """A story tells title, reason, start, faults, each instant and the rules."""
    path = tmp_path / "scenarios" / "told.yaml"
    path.parent.mkdir()
    path.write_text(STORY, encoding="utf-8")
    loaded = load(path)
    assert [error.render() for error in loaded.errors] == []
    assert story(loaded.cases[0]) == TOLD + RULES["override.admin-reset"].text


def test_every_word_has_a_sentence() -> None:
    """Each action, expectation and key of given of the format has its sentence, and none is left over."""
    assert set(sentences.ACTIONS) == set(model.ACTIONS)
    assert set(sentences.EXPECTATIONS) == set(model.EXPECTATIONS)
    assert set(sentences.GIVEN) == set(model.Given.model_fields)


def test_every_part_of_a_fault_is_told() -> None:
    """What a fault rule may say is in the choices or the effects."""
    told = {key for key, _ in sentences.FAULT_CHOICES} | {key for key, _ in sentences.FAULT_EFFECTS}
    assert set(model.Fault.model_fields) - told == {"on"}


@pytest.mark.parametrize("kinds", [model.ACTIONS, model.EXPECTATIONS])
def test_sentences_name_arguments_that_exist(kinds: dict[str, type]) -> None:
    """A sentence mentions no argument that its model does not have."""
    texts = {**sentences.ACTIONS, **sentences.EXPECTATIONS} if kinds is model.EXPECTATIONS else sentences.ACTIONS
    for name, kind in kinds.items():
        _, told = fill(kind.model_construct(**dict.fromkeys(kind.model_fields)), texts[name])  # type: ignore[attr-defined]
        assert told <= set(kind.model_fields), name  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_any_scenario_can_be_told(path: Path) -> None:
    """Every kind of scenario can be told, with no template left unfilled."""
    for case in load(path).cases:
        text = story(case)
        assert case.scenario.scenario.split()[0] in text
        assert "{" not in text.replace('"{', "")


def test_counts() -> None:
    """Counts are told in words."""
    counts = [Count(0), Count(1), Count(2), Count(5), Count(1, exact=False), Count(0, exact=False)]
    assert [tell_count(count) for count in counts] == [
        "never", "exactly once", "exactly twice", "exactly 5 times", "at least once", "any number of times",
    ]  # fmt: skip


def test_values() -> None:
    """Offsets have their sign, durations none, texts are quoted, empty lists are none."""
    assert tell_value("since", timedelta(minutes=2)) == "+2m"
    assert tell_value("every", timedelta(minutes=2)) == "2m"
    assert tell_value("between", (timedelta(minutes=3), timedelta(minutes=9))) == "+3m to +9m"
    assert tell_value("password", "abc") == '"abc"'
    assert tell_value("is_", ()) == "none"


def test_fault_of_one_user() -> None:
    """A fault rule tells where, when and what."""
    fault = model.Fault.model_validate({"on": "cloud.set-passwords", "user": "alice", "times": 2, "lose": "response"})
    assert (
        tell_fault(fault)
        == "Every attempt on cloud.set-passwords (the first 2 times, for alice only) loses its response."
    )
