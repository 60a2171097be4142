"""The JSON Schema (draft 2020-12) of scenario files, for editors: built from the models, kept beside this module.

An editor reads YAML with implicit typing, so that a schema can't say everything: whether a password is quoted, which
names exist, and most of what excludes what is checked when the file is read.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic.json_schema import models_json_schema

from simulator.scenario.base import Part
from simulator.scenario.kinds import OFFSET
from simulator.scenario.model import ACTIONS, EXPECTATIONS, Fault, Given, Row, Scenario
from simulator.scenario.rules import INVARIANTS, RULES
from simulator.scenario.vocabulary import is_bare, summary

PATH = Path(__file__).with_name("scenario.schema.json")
"""Where the schema is kept."""

ADDRESS = "scenario.schema.json"
PLACEHOLDER = {"type": "string", "pattern": r"^\$[A-Za-z_][A-Za-z0-9_-]*$"}
TO_PLACEHOLDER = {"$ref": "#/$defs/placeholder"}

JsonObject = dict[str, Any]


def build_schema() -> JsonObject:
    """The whole schema."""
    models: list[type[Part]] = [Scenario, Given, Fault, Row, *ACTIONS.values(), *EXPECTATIONS.values()]
    _, schema = models_json_schema([(model, "validation") for model in models], by_alias=True)
    definitions: JsonObject = {name: _tidy(each) for name, each in schema["$defs"].items()}
    for name in ("Action", "Expectation", "Step"):
        definitions.pop(name, None)
    definitions["ExpectRefused"] = {"enum": definitions["ExpectRefused"]["properties"]["reason"]["enum"]}
    definitions["step"] = _step()
    definitions["actions"] = _words(ACTIONS)
    definitions["expectations"] = _words(EXPECTATIONS)
    definitions["Fault"] |= {"not": {"required": ["call", "times"]}, "dependentRequired": {"retry-after": ["answer"]}}
    definitions["Given"]["not"] = {"required": ["forest", "forests"]}
    definitions["ForestSpec"]["properties"]["domains"] = {
        "type": "object", "minProperties": 1, "additionalProperties": _nullable({"$ref": "#/$defs/DomainSpec"})
    }  # fmt: skip
    top = definitions.pop("Scenario")
    _finish_top(top)
    row = definitions["Row"]
    definitions = {name: _with_placeholders(each) for name, each in definitions.items()}
    definitions |= {"Row": row, "placeholder": PLACEHOLDER}
    top = _with_placeholders(top)
    top["properties"]["examples"] = {"type": "array", "items": {"$ref": "#/$defs/Row"}, "minItems": 1}
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": ADDRESS,
        "title": "A pwsync scenario",
    }
    return {**head, **top, "$defs": dict(sorted(definitions.items()))}


def _finish_top(top: JsonObject) -> None:
    properties = top["properties"]
    properties["rules"] = {"type": "array", "minItems": 1, "items": {"enum": [*RULES]}, "uniqueItems": True}
    properties["except"] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: {"type": "string", "description": text} for name, text in INVARIANTS.items()},
    }
    properties["timeline"] = {"type": "array", "items": {"$ref": "#/$defs/step"}}
    top["anyOf"] = [
        {"required": ["timeline"], "properties": {"timeline": {"minItems": 1}}}, {"required": ["explore"]}
    ]  # fmt: skip


def _step() -> JsonObject:
    return {
        "type": "object",
        "description": "At this offset from the start these things happen, and these must hold.",
        "properties": {
            "at": dict(OFFSET.schema),
            "do": _one_or_more("#/$defs/actions"),
            "expect": _one_or_more("#/$defs/expectations"),
        },
        "required": ["at"],
        "anyOf": [{"required": ["do"]}, {"required": ["expect"]}],
        "additionalProperties": False,
    }


def _one_or_more(reference: str) -> JsonObject:
    one = {"$ref": reference}
    return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}


def _words(models: dict[str, Any]) -> JsonObject:
    """A mapping from words to arguments; a word that needs none may stand alone."""
    bare = [name for name, model in models.items() if is_bare(model)]
    properties = {name: _arguments(model) for name, model in models.items()}
    mapping = {"type": "object", "minProperties": 1, "properties": properties, "additionalProperties": False}
    return {"anyOf": [mapping, {"enum": bare}]} if bare else mapping


def _arguments(model: type[Part]) -> JsonObject:
    reference: JsonObject = {"$ref": f"#/$defs/{model.__name__}", "description": summary(model)}
    return _nullable(reference) if is_bare(model) else reference


def _nullable(schema: JsonObject) -> JsonObject:
    return {"anyOf": [schema, {"type": "null"}]}


def _with_placeholders(schema: JsonObject) -> JsonObject:
    """The schema, in which ``$key`` may stand for any value, item or key: examples put something else there."""
    found = dict(schema)
    for name in ("items", "additionalProperties"):
        if isinstance(found.get(name), dict):
            found[name] = _or_placeholder(found[name])
    if found.get("additionalProperties") is False:
        found["patternProperties"] = {PLACEHOLDER["pattern"]: {}}
    if "anyOf" in found:
        found["anyOf"] = [_with_placeholders(each) for each in found["anyOf"]]
    if "properties" in found:
        found["properties"] = {name: _or_placeholder(each) for name, each in found["properties"].items()}
    return found


def _or_placeholder(schema: JsonObject) -> JsonObject:
    """The schema, or a ``$key``; any string is one already."""
    inner = _with_placeholders(schema)
    if set(inner) <= {"type", "description"} and "string" in inner.get("type", ""):
        return inner
    told = {"description": inner.pop("description")} if "description" in inner else {}
    return {**told, "anyOf": [*inner.get("anyOf", [inner]), TO_PLACEHOLDER]}


def _tidy(model: JsonObject) -> JsonObject:
    """A model's schema without titles, nulls and defaults that say nothing."""
    kept = {key: value for key, value in model.items() if key != "title"}
    if "properties" in kept:
        kept["properties"] = {name: _property(each) for name, each in kept["properties"].items()}
    if "description" in kept:
        kept["description"] = kept["description"].partition("\n\n")[0]
    return kept


def _property(schema: JsonObject) -> JsonObject:
    kept = {key: value for key, value in schema.items() if key not in ("title", "default")}
    choices = [each for each in kept.get("anyOf", []) if each != {"type": "null"}]
    if len(choices) == 1:
        kept.pop("anyOf")
        kept |= choices[0]
    elif choices:
        kept["anyOf"] = choices
    return kept


def schema_text() -> str:
    """The schema as it is kept and printed."""
    return json.dumps(build_schema(), indent=2, ensure_ascii=False) + "\n"
