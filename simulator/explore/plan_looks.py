"""What a random run looks at: expectations, which must change nothing and never fail of themselves.

What they should find is not known when a plan is drawn, so that what they say is not judged: that looking goes well in
whatever state the world is in, and that the run then goes on as if nobody had looked, is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from simulator.explore.plans import Sketch
from simulator.explore.writing import Document, Quoted, offset

Look = Callable[[Sketch, str], dict[str, Any]]


def _password(sketch: Sketch, user: str) -> Quoted:
    return sketch.random.choice([*sketch.passwords[user], Quoted("Wrong-word-0")])


def _managed_logon(sketch: Sketch, user: str) -> dict[str, Any]:
    method = sketch.random.choice(["ntlm", "kerberos", "ldap"])
    return {"user": user, "password": _password(sketch, user), "method": method, "result": "ok"}


LOOKS: dict[str, Look] = {
    "cloud.sign-in": lambda sketch, user: {"user": user, "password": _password(sketch, user), "result": "ok"},
    "cloud.user": lambda sketch, user: {"user": user, "exists": "true", "enabled": "true", "source": "synced"},
    "cloud.history": lambda sketch, user: {"user": user, "is": []},
    "cloud.writes": lambda sketch, user: {"user": user, "by": "sync", "count": "0+"},
    "cloud.calls": lambda sketch, user: {"operation": "any", "count": "0+"},
    "ad.logon": lambda sketch, user: {"user": user, "password": _password(sketch, user), "result": "ok"},
    "domain-services.logon": _managed_logon,
    "event-log": lambda sketch, user: {"user": user, "count": "0+"},
    "agent.pending": lambda sketch, user: {"is": "none"},
    "agent.status": lambda sketch, user: {"user": user, "is": "Success"},
    "agent.diagnosis": lambda sketch, user: {"user": user, "finds": "ok"},
    "agent.alert": lambda sketch, user: {"is": "none"},
}
"""How each expectation is drawn."""


def draw_looks(sketch: Sketch, length: int, born: Mapping[str, int]) -> list[Document]:
    """Some entries that only look, anywhere up to ``length`` seconds after the start.

    born: of users whom the plan creates, when that is; nobody looks at them before.
    """
    random = sketch.random
    entries = []
    for _ in range(random.randint(1, 4)):
        name = random.choice([*LOOKS, "domain-services.logon", "agent.diagnosis", "agent.diagnosis"])
        user = random.choice([*sketch.homes, *sketch.cloud_users])
        if name == "ad.logon" and user not in sketch.homes:
            user = sketch.user()
        moment = random.randint(min(born.get(user, -1) + 1, length), length)
        entries.append({"at": offset(moment), "expect": [{name: LOOKS[name](sketch, user)}]})
    return entries
