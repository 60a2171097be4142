"""Directory replication over HTTPS: the operations of MS-DRSR as JSON, one controller to a path.

``POST /replication/DOMAIN/CONTROLLER/OPERATION`` with a message of :mod:`pwsync.replication.client` as its body, octets
as ``{"$base64": ...}``. The answer is ``{"answer": {...}}``, or ``{"error": {"code": WIN32, "message": ...}}``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from pwsync.errors import ReplicationError
from pwsync.replication import json_messages
from simulator.active_directory.replication import INVALID_PARAMETER, OPERATIONS, ReplicationServer
from simulator.azure_ad.routes import Routes
from simulator.azure_ad.wire import Answer, Call, json_answer
from simulator.refusal import Refusal
from simulator.wires import ReplicationWire

if TYPE_CHECKING:
    from pwsync.ports import ReplicationChannel
    from simulator.world import World

PREFIX = "/replication/"
ROUTES = Routes()
"""What is answered: entered by the method of :class:`ReplicationEndpoint`."""
ASSOCIATIONS_MAX = 1000
"""As many clients are remembered, bound or about to be; then those are forgotten that came first."""

K = TypeVar("K")
V = TypeVar("V")


class Associations:
    """The clients of one controller, each with a channel of its own, told apart by what they were given.

    The protocol keeps a client's state with its connection; calls over HTTP have none, so that a sign-on under way is
    known by its binding number, and a bound client by its handle.
    """

    def __init__(self, channel: Callable[[], ReplicationChannel]) -> None:
        self._channel = channel
        self._numbers = itertools.count(1)
        self._begun: dict[int, tuple[ReplicationChannel, int]] = {}
        self._bound: dict[bytes, ReplicationChannel] = {}

    def call(self, operation: str, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """Answer one operation. Raises ReplicationError."""
        if operation == "negotiate":
            channel = self._channel()
            offer = channel.call(operation, message)
            number = next(self._numbers)
            _remember(self._begun, number, (channel, offer["binding"]))
            return {**offer, "binding": number}
        if operation == "authenticate":
            begun = message.get("binding")
            found = self._begun.pop(begun, None) if isinstance(begun, int) else None
            channel, binding = found or (self._channel(), 0)
            answer = channel.call(operation, {**message, "binding": binding})
            _remember(self._bound, answer["handle"], channel)
            return answer
        handle = message.get("handle")
        bound = self._bound.get(handle) if isinstance(handle, bytes) else None
        answer = (bound or self._channel()).call(operation, message)
        if operation == "unbind" and isinstance(handle, bytes):
            self._bound.pop(handle, None)
        return answer


def _remember(table: dict[K, V], key: K, value: V) -> None:
    table[key] = value
    while len(table) > ASSOCIATIONS_MAX:
        del table[next(iter(table))]


class ReplicationEndpoint:
    """Every controller of a world under its path. Calls must come one at a time."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._associations: dict[tuple[str, str], Associations] = {}

    def handle(self, call: Call) -> Answer:
        """Answer a call below :data:`PREFIX`."""
        found = ROUTES.find(call.method, call.path)
        if found is None:
            return self._unknown(call, ROUTES.explain(call.method, call.path))
        route, names = found
        return route.handle(self, call, **names)

    @ROUTES.on("POST", PREFIX + "{domain}/{controller}/{operation}", "an operation of replication")
    def _operate(self, call: Call, domain: str, controller: str, operation: str) -> Answer:
        associations = self._find(domain, controller)
        if associations is None:
            return self._unknown(call, f"There is no controller {controller[:64]!r} of {domain[:255]!r}.")
        try:
            message = json_messages.load(call.body)
            if not isinstance(message, dict):
                raise TypeError("a message is a mapping")
        except (ValueError, TypeError) as problem:
            return _answer(400, _error(ReplicationError(INVALID_PARAMETER, f"the message can't be read: {problem}")))
        try:
            return _answer(200, {"answer": associations.call(operation, message)})
        except ReplicationError as refusal:
            return _answer(200, _error(refusal))

    def _unknown(self, call: Call, why: str) -> Answer:
        here = ", ".join(f"{domain.name}/{name}" for domain in self._world.domains for name in domain.controllers)
        message = f"{why} Controllers: {here}. Operations: {', '.join(OPERATIONS)}."
        return json_answer(404, {"error": {"code": "UnknownCall", "message": message}})

    def _find(self, domain: str, controller: str) -> Associations | None:
        found = self._associations.get((domain, controller))
        if found is None:
            try:
                home = self._world.domain(domain)
            except Refusal:
                return None
            if controller not in home.controllers:
                return None
            there = home.controllers[controller]
            found = self._associations[domain, controller] = Associations(
                lambda: ReplicationWire(self._world, there, ReplicationServer(there), domain)
            )
        return found


def _error(refusal: ReplicationError) -> dict[str, Any]:
    return {"error": {"code": refusal.code, "message": refusal.message}}


def _answer(status: int, value: Mapping[str, Any]) -> Answer:
    return Answer(status, [("Content-Type", "application/json")], json_messages.dump(value))
