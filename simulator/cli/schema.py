"""``pwsync schema``: the JSON Schema of scenario files, for editors."""

from __future__ import annotations

from simulator.cli.console import say


def schema() -> None:
    """Print the JSON Schema of scenario files, for editors that complete and check YAML.

    \b
    Example:
      pwsync schema > scenario.schema.json
    and as first line of a scenario:
      # yaml-language-server: $schema=scenario.schema.json
    """
    from importlib.resources import files

    say(files("simulator.scenario").joinpath("scenario.schema.json").read_text(encoding="utf-8").rstrip())
