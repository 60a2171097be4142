"""The JSON Schema for editors, and the vocabulary: both come from the models."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from simulator.scenario import vocabulary
from simulator.scenario.model import ACTIONS, EXPECTATIONS
from simulator.scenario.nodes import Mapping, Node, Scalar, Sequence, compose
from simulator.scenario.rules import INVARIANTS, RULES
from simulator.scenario.schema import PATH, build_schema, schema_text

SHIPPED = Path(__file__).parents[2] / "scenarios"
GOOD = sorted([*Path(__file__).with_name("good").glob("*.yaml"), *SHIPPED.rglob("*.yaml")])
ERRORS = Path(__file__).parents[1] / "errors"
SEEN_BY_SCHEMA = [
    "action-under-expect", "bad-flag", "bad-profile", "bad-seed", "bad-word", "empty-entry", "empty-timeline",
    "fault-call-and-times", "fault-retry-after", "fault-values", "missing-argument", "missing-at", "missing-keys",
    "missing-timeline", "out-of-range", "two-kinds-of-forest", "unknown-action", "unknown-expectation",
    "unknown-feature", "unknown-invariant", "unknown-key-argument", "unknown-key-given", "unknown-key-no-arguments",
    "unknown-key-step", "unknown-key-top", "unknown-reason", "unknown-rule",
]  # fmt: skip


def as_editor(node: Node) -> Any:
    """The file as an editor reads it: plain scalars typed by YAML 1.2's core schema."""
    if isinstance(node, Mapping):
        return {key.text: as_editor(value) for key, value in node.entries}
    if isinstance(node, Sequence):
        return [as_editor(item) for item in node.items]
    assert isinstance(node, Scalar)
    if node.quoted:
        return node.text
    if node.text in ("true", "false"):
        return node.text == "true"
    if node.text in ("", "null", "~"):
        return None
    return int(node.text) if re.fullmatch(r"[-+]?[0-9]+", node.text) else node.text


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    return Draft202012Validator(build_schema())


def read(path: Path) -> Any:
    root, _ = compose(path.read_text(encoding="utf-8"))
    assert root is not None
    return as_editor(root)


def test_schema_is_a_schema() -> None:
    """The schema is valid itself."""
    Draft202012Validator.check_schema(build_schema())


def test_kept_schema_is_up_to_date(update: bool) -> None:
    """The file in the package is what the models say; ``--update`` writes it."""
    if update:
        PATH.write_text(schema_text(), encoding="utf-8")
    assert PATH.read_text(encoding="utf-8") == schema_text()


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_good_files_are_valid(path: Path, validator: Draft202012Validator) -> None:
    """An editor shows nothing in a good file."""
    assert [error.message for error in validator.iter_errors(read(path))] == []


@pytest.mark.parametrize("name", SEEN_BY_SCHEMA)
def test_bad_files_are_not(name: str, validator: Draft202012Validator) -> None:
    """An editor sees what is wrong with a file's form."""
    assert not validator.is_valid(read(ERRORS / name / "scenario.yaml"))


def test_vocabulary_names_every_word_and_argument() -> None:
    """Every word has one line of explanation, and every argument says what it expects."""
    words = [*vocabulary.actions(), *vocabulary.expectations()]
    assert [word.name for word in words] == [*ACTIONS, *EXPECTATIONS]
    for word in (*words, *vocabulary.sections()):
        assert word.summary.endswith("."), word.name
        assert [argument for argument in word.arguments if not argument.expected] == [], word.name
    required = {word.name: [each.key for each in word.arguments if each.required] for word in words}
    assert required["ad.change-password"] == ["user", "password"]
    assert required["agent.stop"] == []


def test_catalogue_is_complete() -> None:
    """The catalogue holds 54 rules and 13 invariants, each with an id of its own area and a text."""
    assert len(RULES) == 54
    assert len(INVARIANTS) == 13
    for name, rule in RULES.items():
        assert rule.id == name
        assert rule.text
        assert rule.source
        assert set(rule.profiles) <= {"2017", "current"}
    assert RULES["initial.no-subset"].profiles == ("2017",)
    assert RULES["heartbeat.idle"].source != RULES["order.per-user"].source
