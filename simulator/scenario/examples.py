"""The table ``examples``: each row makes a copy of the file, with the row's value wherever ``$key`` stands alone."""

from __future__ import annotations

import re
from functools import partial

from simulator.scenario.building import build, plain
from simulator.scenario.errors import suggest
from simulator.scenario.model import Row
from simulator.scenario.nodes import Mapping, Node, Problem, Scalar, Sequence

PLACEHOLDER = re.compile(r"\$([A-Za-z_][A-Za-z0-9_-]*)")

Variants = list[tuple[str | None, Mapping]]


def is_placeholder(node: Node) -> bool:
    """Whether the node is an unquoted ``$key``."""
    return isinstance(node, Scalar) and not node.quoted and PLACEHOLDER.fullmatch(node.text) is not None


def expand(root: Mapping) -> tuple[Variants, list[Problem]]:
    """One tree per row, with the row's name; the tree itself where there are no rows. Problems of the table besides."""
    table = root.get("examples")
    if table is None:
        return [(None, root)], [_unknown(node, ()) for node in _placeholders(root)]
    problems: list[Problem] = []
    rows = _read_rows(root, table, problems)
    used = _placeholders(
        Mapping(root.line, root.column, 1, [pair for pair in root.entries if pair[0].text != "examples"])
    )
    columns = list(dict.fromkeys(key.text for _, row in rows for key, _ in row.entries))
    problems += [_unknown(node, columns) for node in used if node.text[1:] not in columns]
    needed = {node.text[1:] for node in used}.intersection(columns)
    for name, row in rows:
        have = {key.text for key, _ in row.entries}
        for key in sorted(needed - have):
            problems.append(Problem(f'missing key "{key}" in this row', name, f'"${key}" is used in the file'))
    if problems or not rows:
        return [(None, root)], problems
    return [(name.text, _fill_root(root, row)) for name, row in rows], []


def _read_rows(root: Mapping, table: Node, problems: list[Problem]) -> list[tuple[Scalar, Mapping]]:
    key = root.key("examples")
    if not isinstance(table, Sequence) or not table.items:
        problems.append(
            Problem("expected a list of rows", key or table, "such as - {name: first, values: {key: value}}")
        )
        return []
    rows: list[tuple[Scalar, Mapping]] = []
    taken: set[str] = set()
    for item in table.items:
        if build(Row, plain(item), item, problems, {}) is None or not isinstance(item, Mapping):
            continue
        name, row = item.get("name"), item.get("values")
        if isinstance(name, Scalar) and isinstance(row, Mapping):
            if name.text in taken:
                problems.append(Problem(f'there is another row "{name.text}"', name, "each row has a name of its own"))
            taken.add(name.text)
            rows.append((name, row))
    return rows


def _unknown(node: Scalar, columns: list[str] | tuple[()]) -> Problem:
    if not columns:
        return Problem(
            f'"{node.text}" stands for a value of "examples"', node, "there are no examples; quote it if it is meant"
        )
    return Problem(f'unknown key "{node.text}"', node, suggest(node.text, [f"${column}" for column in columns]))


def _placeholders(node: Node) -> list[Scalar]:
    found: list[Scalar] = []
    stack = [node]
    while stack:
        each = stack.pop()
        if isinstance(each, Scalar):
            if is_placeholder(each):
                found.append(each)
        elif isinstance(each, Mapping):
            for key, value in each.entries:
                stack += (key, value)
        elif isinstance(each, Sequence):
            stack += each.items
    return found


def _fill_root(root: Mapping, row: Mapping) -> Mapping:
    values = {key.text: value for key, value in row.entries}
    entries = [(key, value if key.text == "examples" else _fill(value, values)) for key, value in root.entries]
    return Mapping(root.line, root.column, root.length, entries)


def _fill(node: Node, values: dict[str, Node]) -> Node:
    """A copy of the node with the row's values in it."""
    if isinstance(node, Scalar):
        return values[node.text[1:]] if is_placeholder(node) else node
    if isinstance(node, Mapping):
        fill = partial(_fill, values=values)
        entries = [(_fill_key(key, values), fill(value)) for key, value in node.entries]
        return Mapping(node.line, node.column, node.length, entries)
    if isinstance(node, Sequence):
        return Sequence(node.line, node.column, node.length, [_fill(item, values) for item in node.items])
    return node


def _fill_key(key: Scalar, values: dict[str, Node]) -> Scalar:
    filled = _fill(key, values)
    return filled if isinstance(filled, Scalar) else key
