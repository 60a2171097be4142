"""The world that clients are tried in."""

from __future__ import annotations

WORLD = """
scenario: Alice, synchronized
why: She is served.
rules: [delta.within-minutes]
given:
  users:
    - {name: alice, password: "Winter-2016!"}
timeline:
  - {at: +2m, expect: {agent.alert: {is: none}}}
"""
