"""The control endpoint of a served world: see what is there, do what scenarios do, move the clock, break wires.

JSON over HTTPS, for this machine alone:

    GET  /time                    {"now", "pace"}; with until=TIME&wait=SECONDS once it is that late, or after so long
    POST /time                    {"advance": "2m"}, or {"pace": 0}: time stands still; {"pace": 60}: a minute a second
    GET  /users, /users/NAME      people in directory and tenant; from=N&count=N
    GET  /events, /trace          the last ones; last=N
    POST /actions                 an action of the scenario format, {"ad.unlock": {"user": "alice"}}, or a list of them;
                                  they are done in their order until one is refused
    GET, POST, DELETE /faults     rules of the scenario format's ``faults``
    GET  /snapshots               those that were taken
    POST /snapshots               {"take": "before"}, {"restore": "before"}, {"drop": "before"}; the whole world goes
                                  back, an agent within too; with "force": true also if an agent that is a process of
                                  its own has used the world since, whose store is the caller's to mind
    GET, POST /applications       those that may ask the tenant for tokens (:mod:`simulator.serving.applications`)
    GET  /agent                   settings of an agent of one's own
    GET  /state                   all that the page in the browser shows; search=TEXT&standing=WORD,WORD&from=N&count=N
                                  of the people, level=WORD,WORD&event=ID of the events; with after=CHANGE&wait=SECONDS
                                  once it is another state than that, or after so long
    GET  /                        that page, for a browser; for others the list of calls

A refusal of the world is 409 with its ``reason``; what can't be read is 400 with what was expected. Calls that a
browser makes for another site are 403 (:mod:`simulator.serving.browser`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, Any

from pwsync.errors import Refused
from simulator.azure_ad.routes import Routes
from simulator.azure_ad.wire import Answer, Call, json_answer
from simulator.network import ArmedFault
from simulator.refusal import Refusal
from simulator.scenario import actions
from simulator.scenario.building import build, plain
from simulator.scenario.errors import suggest
from simulator.scenario.model import ACTIONS, Fault
from simulator.scenario.nodes import DEPTH_MAX, Node, Problem, Scalar, Sequence, compose
from simulator.scenario.nodes import Mapping as MappingNode
from simulator.scenario.sessions import Sessions
from simulator.scenario.values import parse_duration
from simulator.serving import applications, browser
from simulator.serving.overview import LEVELS, Overview, Question
from simulator.serving.people import STANDINGS, describe
from simulator.serving.snapshots import NAME_MAX, Snapshots
from simulator.serving.time import PACE_MAX, WorldTime

if TYPE_CHECKING:
    from simulator.world import World

WAIT_SECONDS_MAX = 60.0
STATE_WAIT_SECONDS_MAX = 30.0
PULSE_SECONDS = 1.0
"""How long at most a change stays unnoticed that comes neither with time nor through this endpoint."""
USERS_AT_ONCE = 1000
LINES = 50
BODY_MAX = 1 << 20
QUOTED = frozenset(("password", "old"))
"""Arguments that stand in quotes in a file."""
UNNATURAL = {
    "directory.bind": "LDAP is served as it is; take ad.set-controller or network.set-link",
    "directory.search": "LDAP is served as it is; take ad.set-controller or network.set-link",
    "store.commit": "the store is the agent's own; end its process instead",
}
"""Wires that a served world does not carry, and what to do instead."""

ROUTES = Routes()
"""What is answered: entered by the methods of :class:`Control`, each called with the call and the path's names."""

Settings = Callable[[], Mapping[str, Any]]


class BadRequest(Exception):
    """What came can't be read; ``problems`` says why."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems
        super().__init__(problems[0].message)


class Control:
    """Answers calls for the control endpoint. It takes the world's lock itself, but does not wait with it.

    hosted: the world has an agent within, which ``agent.*`` and ``server.*`` act on. agent_settings: what an agent of
    one's own is told; whoever serves the world sets it. agent_calls: how often agents that are processes of their own
    have called anything of this world; whoever serves it counts those that do not come here.
    """

    def __init__(self, world: World, time: WorldTime, *, hosted: bool) -> None:
        self.agent_settings: Settings = dict
        self.after_action: Callable[[], None] = lambda: None
        self.after_restore: Callable[[], None] = lambda: None
        self.agent_calls = 0
        self._world = world
        self._time = time
        self._hosted = hosted
        self._sessions = Sessions()
        self._snapshots = Snapshots(world, (self._sessions,), lambda: self.agent_calls, self._restored)
        self._overview = Overview(
            world, time, hosted=hosted, snapshots=self._snapshots.told, agents=lambda: self.agent_calls
        )

    def handle(self, call: Call) -> Answer:
        """Answer a call."""
        if str(call.environ.get("REMOTE_ADDR", "")).removeprefix("::ffff:") not in ("127.0.0.1", "::1"):
            return _refusal(403, "not-local", "the world is controlled from its own machine only")
        if len(call.body) > BODY_MAX or len(str(call.environ.get("CONTENT_LENGTH") or "")) > len(str(BODY_MAX)):
            return _refusal(413, "too-large", f"at most {BODY_MAX} bytes")
        if browser.is_wanted(call):
            return browser.answer(call)
        if browser.is_from_elsewhere(call):
            return _refusal(403, "other-site", "a page of another site may not call this world")
        found = ROUTES.find(call.method, call.path)
        if found is None:
            status = 405 if ROUTES.methods(call.path) else 404
            return _refusal(status, "unknown-call", ROUTES.explain(call.method, call.path))
        route, names = found
        try:
            return route.handle(self, call, **names)
        except BadRequest as bad:
            told = [{"problem": each.message, "hint": each.hint} for each in bad.problems]
            return json_answer(400, {"error": {"code": "unreadable", "message": str(bad), "problems": told}})
        except (Refusal, Refused) as refusal:
            return _refusal(409, refusal.reason, getattr(refusal, "detail", "") or str(refusal))
        finally:
            if call.method != "GET":
                self._time.tell()

    @ROUTES.on("GET", "/", "what there is to call")
    def _index(self, call: Call) -> Answer:
        return json_answer(200, {"calls": [f"{route.method} {route.path}" for route in ROUTES]})

    # --- time

    @ROUTES.on("GET", "/time", "the time; until, wait")
    def _tell_time(self, call: Call) -> Answer:
        if "until" in call.query:
            self.agent_calls += 1
            seconds = _number(call.query.get("wait", "0"), WAIT_SECONDS_MAX)
            self._time.wait(_moment(call.query["until"]), seconds)
        return self._now()

    def _now(self) -> Answer:
        with self._time:
            return json_answer(200, {"now": self._world.clock().isoformat(), "pace": self._time.pace})

    @ROUTES.on("POST", "/time", "move it, or set its pace")
    def _move_time(self, call: Call) -> Answer:
        order = _read_json(call)
        if set(order) == {"advance"} and isinstance(order["advance"], str):
            try:
                self._time.advance(parse_duration(order["advance"]))
            except ValueError as error:
                raise _bad(str(error), "such as 2m or 1d2h") from error
        elif set(order) == {"pace"} and isinstance(order["pace"], int | float):
            try:
                self._time.set_pace(float(order["pace"]))
            except (ValueError, OverflowError) as error:
                raise _bad(str(error), f"0 to {PACE_MAX:g}") from error
        else:
            raise _bad("nothing that moves time", 'expected {"advance": "2m"} or {"pace": 1}')
        return self._now()

    # --- what is there

    @ROUTES.on("GET", "/users", "people in directory and tenant; from, count")
    def _users(self, call: Call) -> Answer:
        first = int(_number(call.query.get("from", "0"), 1e9))
        count = int(_number(call.query.get("count", str(USERS_AT_ONCE)), USERS_AT_ONCE))
        with self._time:
            names = list(self._world.people)
            found = [describe(self._world, name) for name in names[first : first + count]]
        return json_answer(200, {"total": len(names), "users": found})

    @ROUTES.on("GET", "/users/{name}", "one of them")
    def _one_user(self, call: Call, name: str) -> Answer:
        with self._time:
            if name not in self._world.people:
                return _refusal(404, "no-such-user", f"nobody is called {name[:64]}")
            return json_answer(200, describe(self._world, name))

    @ROUTES.on("GET", "/events", "the last events; last")
    def _events(self, call: Call) -> Answer:
        last = int(_number(call.query.get("last", str(LINES)), 10_000))
        with self._time:
            found = self._world.events[-last:] if last else []
            told = [
                {"time": each.time.isoformat(), "id": each.id, "level": each.level, "source": each.source,
                 "text": each.text}
                for each in found
            ]  # fmt: skip
        return json_answer(200, {"events": told})

    @ROUTES.on("GET", "/trace", "the last lines of the trace; last")
    def _trace(self, call: Call) -> Answer:
        last = int(_number(call.query.get("last", str(LINES)), 100_000))
        with self._time:
            return json_answer(200, {"trace": self._world.trace.lines[-last:] if last else []})

    @ROUTES.on("GET", "/applications", "those that may ask the tenant for tokens")
    def _applications(self, call: Call) -> Answer:
        with self._time:
            return json_answer(200, {"applications": applications.tell(self._world.tenant.applications)})

    @ROUTES.on("POST", "/applications", "one more; name, id, secret, lives, roles, scopes")
    def _register(self, call: Call) -> Answer:
        order = _read_json(call)
        with self._time:
            try:
                return json_answer(201, applications.register(self._world.tenant.applications, order))
            except (ValueError, OverflowError) as error:
                raise _bad(str(error)[:2000], 'such as {"name": "payroll"}') from error

    @ROUTES.on("GET", "/agent", "settings of an agent of one's own")
    def _agent(self, call: Call) -> Answer:
        with self._time:
            return json_answer(200, self.agent_settings())

    @ROUTES.on("GET", "/state", "all that the page shows; search, standing, from, count, level, event, after, wait")
    def _state(self, call: Call) -> Answer:
        """A state; one that is asked for with ``after`` when it is another, or the time of waiting is over."""
        question, seen = _question(call.query), call.query.get("after")
        until = monotonic() + _number(call.query.get("wait", "0"), STATE_WAIT_SECONDS_MAX)
        while True:
            with self._time:
                told, pulse = self._overview.state(question), self._overview.pulse()
            if told["change"] != seen or not self._passes(pulse, until):
                return json_answer(200, told)

    def _passes(self, pulse: object, until: float) -> bool:
        """Wait for a pulse to be another; False if it is not by then, or the world ends."""
        while (left := until - monotonic()) > 0:
            if not self._time.rest(min(left, PULSE_SECONDS)):
                return False
            with self._time:
                if self._overview.pulse() != pulse:
                    return True
        return False

    # --- what is done

    @ROUTES.on("POST", "/actions", "actions of the scenario format")
    def _act(self, call: Call) -> Answer:
        """Read all actions before the first is done; tell what became of each."""
        found = list(self._read_actions(_read_nodes(call)))
        told = []
        for what in found:
            if what.name.partition(".")[0] in ("agent", "server") and not self._hosted:
                raise Refusal("not-supported", "the agent is a process of its own: see pwsync agent --help")
            with self._time:
                try:
                    told.append({what.name: self._perform(what)})
                finally:
                    self.after_action()
        return json_answer(200, {"done": told})

    def _perform(self, what: Any) -> str:
        world = self._world
        who = getattr(what, "user", None) or ""
        try:
            told = actions.perform(world, what, self._sessions)
        except (Refusal, Refused) as refusal:
            world.trace.say("people", f"{what.name} {who} refused: {refusal.reason}")
            raise
        world.trace.say("people", f"{what.name} {who} {told}")
        world.run_until(world.clock())  # what the action made due
        return told

    def _read_actions(self, node: Node) -> Iterator[Any]:
        problems: list[Problem] = []
        for each in node.items if isinstance(node, Sequence) else [node]:
            if isinstance(each, Scalar) and each.text:
                each = MappingNode(1, 1, 1, [(each, Scalar(1, 1, 1, ""))])  # noqa: PLW2901 - as in a file
            if not isinstance(each, MappingNode) or len(each.entries) != 1:
                raise _bad("expected one action", 'such as {"ad.unlock": {"user": "alice"}}')
            ((key, value),) = each.entries
            model = ACTIONS.get(key.text)
            if model is None:
                raise _bad(f'unknown action "{key.text}"', suggest(key.text, ACTIONS))
            nothing = isinstance(value, Scalar) and not value.text and not value.quoted
            part = build(model, {} if nothing else plain(value), value, problems, {"start": self._world.start}, key=key)
            if part is None:
                raise BadRequest(*problems)
            yield part

    # --- faults

    @ROUTES.on("GET", "/faults", "the rules of faults")
    def _faults(self, call: Call) -> Answer:
        with self._time:
            rules = [
                {"rule": number + 1, "on": each.rule.on, "matched": each.matched, "fired": each.fired}
                for number, each in enumerate(self._world.network.faults)
            ]
        return json_answer(200, {"faults": rules})

    @ROUTES.on("POST", "/faults", "one more rule")
    def _add_fault(self, call: Call) -> Answer:
        node, problems = _read_nodes(call), list[Problem]()
        rule = build(Fault, plain(node), node, problems, {"start": self._world.start})
        if rule is None:
            raise BadRequest(*problems)
        if not self._hosted and (rule.crash is not None or rule.on in UNNATURAL):
            raise Refusal("not-supported", UNNATURAL.get(rule.on, UNNATURAL["store.commit"]))
        with self._time:
            faults = self._world.network.faults
            faults.append(ArmedFault(rule, len(faults)))
        return self._faults(call)

    @ROUTES.on("DELETE", "/faults", "no rules any more")
    def _clear_faults(self, call: Call) -> Answer:
        with self._time:
            self._world.network.faults.clear()
        return self._faults(call)

    # --- snapshots

    @ROUTES.on("GET", "/snapshots", "the snapshots that were taken")
    def _list_snapshots(self, call: Call) -> Answer:
        with self._time:
            return json_answer(200, {"snapshots": self._snapshots.told()})

    @ROUTES.on("POST", "/snapshots", "take one, restore one, drop one")
    def _move_world(self, call: Call) -> Answer:
        order = _read_json(call)
        force = order.pop("force", False)
        ((what, name),) = order.items() if len(order) == 1 else (("", ""),)
        known: dict[str, Callable[[str], None]] = {
            "take": self._snapshots.take,
            "restore": lambda name: self._snapshots.restore(name, force=force),
            "drop": self._snapshots.drop,
        }
        if what not in known or type(force) is not bool or (force and what != "restore"):
            raise _bad("nothing that is done with snapshots", 'such as {"take": "before"} or {"restore": "before"}')
        if not isinstance(name, str) or not 0 < len(name) <= NAME_MAX or not name.isprintable():
            raise _bad("that is no name", f"1 to {NAME_MAX} printable characters")
        with self._time:
            known[what](name)
        return self._list_snapshots(call)

    def _restored(self) -> None:
        self._time.set_back()
        self._overview.everybody.forget()
        self.after_restore()
        self.after_action()


def _question(query: Mapping[str, str]) -> Question:
    def words(name: str, known: tuple[str, ...]) -> frozenset[str]:
        found = frozenset(query[name].split(",")) - {""} if name in query else frozenset(known)
        if strange := sorted(found.difference(known)):
            raise _bad(f'"{strange[0][:40]}" is not one of {", ".join(known)}')
        return found

    return Question(
        search=query.get("search", "")[:200],
        standings=words("standing", STANDINGS),
        first=int(_number(query.get("from", "0"), 1e9)),
        count=max(1, int(_number(query.get("count", "50"), 500))),
        levels=words("level", LEVELS),
        event_id=int(_number(query.get("event") or "0", 1e6)),
        events=int(_number(query.get("events", "100"), 1000)),
    )


def _refusal(status: int, reason: str, detail: str) -> Answer:
    return json_answer(status, {"error": {"code": reason, "message": detail}})


def _bad(message: str, hint: str = "") -> BadRequest:
    return BadRequest(Problem(message, Node(1, 1, 1), hint))


def _text(call: Call) -> str:
    try:
        return call.body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _bad("the body is not UTF-8 text", "send JSON") from error


def _read_json(call: Call) -> dict[str, Any]:
    try:
        found = json.loads(_text(call))
    except (ValueError, RecursionError) as error:
        raise _bad(f"not JSON: {error}") from error
    if not isinstance(found, dict):
        raise _bad("expected an object")
    return found


def _read_nodes(call: Call) -> Node:
    """The body as the nodes that a scenario file is read from: JSON, or YAML as it stands in one."""
    text = _text(call)
    try:
        found = json.loads(text)
    except RecursionError as error:
        raise _bad("nested too deeply") from error
    except ValueError:
        node, problems = compose(text)
        if problems or node is None:
            raise BadRequest(*problems) from None
        return node
    return _node(found)


def _node(value: Any, key: str = "", depth: int = 0) -> Node:
    """A value of JSON as a node. Texts there are always in quotes, which in a file only passwords have to be."""
    if depth > DEPTH_MAX:
        raise _bad("nested too deeply")
    if isinstance(value, dict):
        entries = [(Scalar(1, 1, 1, name), _node(each, name, depth + 1)) for name, each in value.items()]
        return MappingNode(1, 1, 1, entries)
    if isinstance(value, list):
        return Sequence(1, 1, 1, [_node(each, key, depth + 1) for each in value])
    if not isinstance(value, str):
        return Scalar(1, 1, 1, "" if value is None else json.dumps(value))
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise _bad("a text with half a surrogate pair")
    return Scalar(1, 1, 1, value, '"' if key in QUOTED else "")


def _number(text: str, most: float) -> float:
    if not (text.isascii() and text.replace(".", "", 1).isdigit() and len(text) < 20):
        raise _bad(f'"{text[:40]}" is not a number')
    return min(float(text), most)


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise _bad(f'"{text[:40]}" is not a time', "such as 2017-01-13T09:00:00Z") from error
