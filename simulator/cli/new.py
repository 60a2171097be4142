"""``pwsync new``: a scenario to start from, with comments, that already runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from simulator.cli.console import refuse, say

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)*", re.ASCII)

TEMPLATE = """\
# A scenario: what people do, what breaks, and what must hold. Run it with: pwsync run {path}
# Editors complete and check it if this line names the schema (pwsync schema > scenario.schema.json):
# yaml-language-server: $schema=scenario.schema.json

scenario: {title}
why: >
  Say here, for the reader of a failure, why it matters that this holds.
rules: [delta.within-minutes]        # ids of the rules it shows; pwsync rules lists them
tags: [example]                      # words to select it by: pwsync run scenarios -t example

# The world at the start: synchronized and quiet unless "sync" says otherwise.
given:
  users:
    - {{name: alice, password: "Winter-2016!"}}

# What happens, and what must hold then. Offsets count from the start; password cycles run every 2 minutes.
timeline:
  - at: +1m
    do: {{ad.change-password: {{user: alice, password: "Spring-2017!"}}}}
    expect:                          # before the next cycle the old password still counts in the cloud
      - cloud.sign-in: {{user: alice, password: "Winter-2016!", result: ok}}
  - at: +2m
    expect:
      - cloud.sign-in: {{user: alice, password: "Spring-2017!", result: ok}}
      - cloud.writes: {{user: alice, by: sync, count: 1}}

# What goes wrong, if anything should; take the "#" away to see the change arrive one cycle later.
# faults:
#   - {{on: cloud.set-passwords, call: 1, answer: 503}}
"""


def new(
    name: Annotated[
        str, typer.Argument(help="The scenario's id, such as override/admin-reset, or a path that ends in .yaml.")
    ],
) -> None:
    """Write a small scenario to start from; it has comments, and holds as it stands.

    An id is written below the folder "scenarios" of the current folder. A file that exists is never overwritten.

    \b
    Examples:
      pwsync new override/admin-reset     writes scenarios/override/admin-reset.yaml
      pwsync new drafts/idea.yaml         writes drafts/idea.yaml
    """
    path = path_of(name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(TEMPLATE.format(path=path.as_posix(), title=title_of(path)))
    except FileExistsError:
        refuse(f'"{path}" is there already', "choose another name; nothing was changed")
    except OSError as error:
        refuse(f'can\'t write "{path}": {error.strerror}')
    say(f"wrote {path}\nnext: edit it, then pwsync run {path}")


def path_of(name: str) -> Path:
    """Where a new scenario goes: a path that ends in .yaml is taken as it is, an id goes below ``scenarios``."""
    if name.endswith(".yaml"):
        path = Path(name)
        fits = _NAME.fullmatch(path.name)
    else:
        path = Path("scenarios", f"{name.removeprefix('scenarios/')}.yaml")
        fits = _NAME.fullmatch(name)
    if not fits or ".." in path.parts:
        refuse(f'"{name}" is no name for a scenario', "use letters, digits, - and _, with / between folders")
    return path


def title_of(path: Path) -> str:
    """A first title, made of the file's name."""
    words = re.sub(r"[-_.]+", " ", path.stem).strip()
    return (words[0].upper() + words[1:]) + " - a changed password works in the cloud after the next cycle"
