"""``pwsync surface``: what the simulation implements of each surface, read from the code that answers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from simulator.cli.console import refuse, say

if TYPE_CHECKING:
    from simulator.surface import Surface


def surface(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Only these surfaces, by the name in brackets.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Print what the simulation implements: requests, controls, operations, routes, grants.

    The list is read from the tables in which calls are looked up. A call that is not on it is refused in the surface's
    own way; the refusal says what came, what comes nearest, and what is known.

    \b
    Examples:
      pwsync surface
      pwsync surface graph provisioning
      pwsync surface --json
    """
    from simulator.surface import surfaces

    found = surfaces()
    for name in names or ():
        if name not in {each.id for each in found}:
            from difflib import get_close_matches

            nearest = get_close_matches(name, [each.id for each in found], n=1)
            known = ", ".join(each.id for each in found)
            refuse(f'there is no surface "{name}"', f"{f'{nearest[0]}? ' if nearest else ''}there are {known}")
    chosen = [each for each in found if not names or each.id in names]
    if as_json:
        say(json.dumps([_value(each) for each in chosen], indent=2))
        return
    for line in table(chosen):
        say(line)


def table(chosen: Iterable[Surface]) -> Iterable[str]:
    """The surfaces as aligned lines, each under its title, with a line that counts them at the end."""
    surfaces = entries = 0
    for each in chosen:
        if surfaces:
            yield ""
        surfaces, entries = surfaces + 1, entries + len(each.entries)
        yield f"{each.title} [{each.id}]"
        width = max(len(entry.name) for entry in each.entries)
        for entry in each.entries:
            yield f"  {entry.name:<{width}}  {entry.about}".rstrip()
    yield f"\n{entries} entries on {surfaces} surface{'' if surfaces == 1 else 's'}"


def _value(each: Surface) -> dict[str, object]:
    entries = [{"name": entry.name, "about": entry.about} for entry in each.entries]
    return {"id": each.id, "title": each.title, "entries": entries}
