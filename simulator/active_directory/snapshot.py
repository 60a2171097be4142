"""Snapshots of a forest: everything that decides what it will answer, as octets, and back.

A restored forest goes on as the one it was taken of would have: the same requests at the same times give the same
entries, USNs, GUIDs, cookies and answers. A snapshot holds every domain with its policy, rights and log of passwords,
every controller with its state, RID pool and copy of the domain (entries, metadata, vectors, tombstones), what is
queued for replication, and where each of the forest's random generators stands. It does not hold connections: sessions
of LDAP and replication clients are not the directory's.

Like the database of a real domain controller a snapshot holds secrets, password hashes and passwords among them; a
file of one is readable by its owner alone.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from simulator.active_directory import snapshot_entries
from simulator.active_directory.controllers import DirectoryEvent
from simulator.active_directory.partners import Partners
from simulator.active_directory.password_settings import FineGrainedPolicy
from simulator.active_directory.passwords import PasswordSet
from simulator.active_directory.policy import DomainPolicy
from simulator.active_directory.replica import Entry, Replica, Stamp
from simulator.active_directory.schema import CLASSES, ObjectClass
from simulator.active_directory.snapshot_format import DAMAGE, Codec, SnapshotError, Tag, pack, unpack
from simulator.active_directory.state import Controller, Domain, Forest, Schedule
from simulator.collection import uncollected
from simulator.random import Randomness

__all__ = ["SnapshotError", "load", "restore", "save", "take"]

Objects = dict[str, Any]
"""Objects of a forest by the names that a snapshot has for them."""

VALUE_CLASSES: dict[str, type] = {
    "stamp": Stamp, "policy": DomainPolicy, "fine-grained": FineGrainedPolicy, "password": PasswordSet,
    "event": DirectoryEvent,
}  # fmt: skip
SURROUNDINGS: dict[type, frozenset[str]] = {
    Forest: frozenset(("name", "clock", "schedule", "randomness", "domains")),
    Domain: frozenset(("name", "on_change", "on_replicated", "password_log", "forest", "partners", "controllers")),
    Partners: frozenset(("_domain",)),
    Controller: frozenset(("name", "domain", "replica")),
    Replica: snapshot_entries.FIELDS | {"owner"},
}
"""Fields that a snapshot does not hold like others: what ties a forest to the world around it, which stays; what ties
its parts together, which the head tells; and what has lines of its own."""

CACHES: dict[type, frozenset[str]] = {
    Controller: frozenset(("_homes", "_homes_version", "_moment", "_ticks")),
}
"""Fields that begin anew."""

_STATE = struct.Struct(">624IH")
_STREAMS = ("directory", "population")
"""What the names of a forest's generators begin with; the domain's name follows."""


def take(forest: Forest) -> bytes:
    """A snapshot of a forest now. Raises SnapshotError if it holds what no snapshot can."""
    return pack(_lines(forest))


def save(forest: Forest, path: Path | str) -> int:
    """Write a snapshot to a file; how many octets. The file is there wholly or not at all. Raises OSError."""
    octets = take(forest)
    target = Path(path)
    beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(octets)
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
    return len(octets)


def load(
    source: Path | bytes,
    clock: Callable[[], datetime],
    randomness: Randomness | None = None,
    schedule: Schedule | None = None,
) -> Forest:
    """A forest as a snapshot (octets, or a Path to a file of them) has it.

    clock, schedule: as a forest takes them; the clock should not be earlier than the snapshot. randomness: whose
    generators are put to where they stood (default: one of its own); one of another seed gives the same for all
    generators that had been used. Raises SnapshotError, OSError if the file can't be read.
    """
    reading = _Reading(_octets(source))
    forest = reading.template(clock, randomness or Randomness(reading.seed), schedule)
    objects = _objects(forest)
    reading.into(objects, objects)
    return forest


def restore(forest: Forest, source: Path | bytes) -> None:
    """Put a forest back to what a snapshot of it has; domains and controllers stay the objects that they are.

    Accounts and entries that someone holds show what was before. What was queued for replication since is not fetched.
    Raises SnapshotError, before anything is changed, also for a snapshot of another forest (another name or seed).
    """
    reading = _Reading(_octets(source))
    if (reading.name, reading.seed) != (forest.name, forest.randomness.seed):
        raise SnapshotError(f"this is a snapshot of the forest {reading.name} with seed {reading.seed!r}, not of this")
    template = _objects(reading.template(forest.clock, Randomness(reading.seed), forest.schedule))
    live = _objects(forest)
    reading.into({name: live.get(name, found) for name, found in template.items()}, template)


def _octets(source: Path | bytes) -> bytes:
    return source if isinstance(source, bytes) else Path(source).read_bytes()


def _objects(forest: Forest) -> Objects:
    found: Objects = {"forest": forest}
    for name, domain in forest.domains.items():
        found[f"domain {name}"] = domain
        found[f"partners {name}"] = domain.partners
        for host, controller in domain.controllers.items():
            found[f"controller {name} {host}"] = controller
            found[f"replica {name} {host}"] = controller.replica
    return found


# --- writing --------------------------------------------------------------------------------------------------------


def _lines(forest: Forest) -> Iterator[Any]:
    objects = _objects(forest)
    codec = _codec(objects, _streams(forest))
    yield {
        "forest": forest.name,
        "seed": forest.randomness.seed,
        "taken": forest.clock().isoformat(),
        "domains": [[domain.name, list(domain.controllers)] for domain in forest.domains.values()],
    }
    yield [[name, _packed_state(random)] for name, random in sorted(_streams(forest).items())]
    for name, found in objects.items():
        if isinstance(found, Replica):
            yield name
            yield from snapshot_entries.lines(found)
    for name, found in objects.items():
        if isinstance(found, Domain):
            yield name
            yield from snapshot_entries.log_lines(found.password_log, found.controller().replica)
    yield ""
    for name, found in objects.items():
        yield [name, _state(name, found, codec)]


def _state(name: str, found: Any, codec: Codec) -> dict[str, Any]:
    state = {}
    for field, value in vars(found).items():
        if field not in _left_out(found):
            try:
                state[field] = codec.encode(value)
            except SnapshotError as problem:
                raise SnapshotError(f"{problem}: {field} of {name}") from None
    return state


def _left_out(found: Any) -> frozenset[str]:
    return SURROUNDINGS.get(type(found), frozenset()) | CACHES.get(type(found), frozenset())


def _streams(forest: Forest) -> dict[str, Random]:
    """The generators of this forest, by name; others of the same world are not its."""
    children = forest.randomness.children()
    return {name: random for name, random in children.items() if _is_stream(name, forest.domains)}


def _is_stream(name: str, domains: Collection[str]) -> bool:
    stream, _, rest = name.partition("/")
    return stream in _STREAMS and rest.partition("/")[0] in domains


def _packed_state(random: Random) -> list[Any]:
    _, words, gauss = random.getstate()
    return [_STATE.pack(*words), gauss]


def _codec(
    objects: Objects, streams: Mapping[str, Random], entries: dict[str, dict[bytes, Entry]] | None = None
) -> Codec:
    """How the fields of a forest's objects name each other. entries: of each replica, when reading."""
    name_of = {id(found): name for name, found in objects.items()}
    stream_of = {id(random): name for name, random in streams.items()}
    found: dict[str, dict[bytes, Entry]] = {} if entries is None else entries
    by_type: dict[type, Any] = {
        kind: (Tag.OBJECT, lambda each: name_of[id(each)], objects.__getitem__)
        for kind in (Forest, Domain, Partners, Controller, Replica)
    }
    by_type[Random] = (Tag.RANDOM, lambda random: stream_of[id(random)], streams.__getitem__)
    by_type[ObjectClass] = (Tag.CLASS, lambda kind: kind.name.lower(), CLASSES.__getitem__)
    by_type[Entry] = (
        Tag.ENTRY, lambda entry: [name_of[id(entry.replica)], entry.guid], lambda node: found[node[0]][node[1]]
    )  # fmt: skip
    return Codec(by_type, VALUE_CLASSES)


# --- reading --------------------------------------------------------------------------------------------------------


class _Reading:
    """A snapshot that is being read: nothing is changed until all of it has been."""

    def __init__(self, octets: bytes) -> None:
        self._lines = unpack(octets)
        try:
            head = next(self._lines)
            self.name, self.seed = head["forest"], head["seed"]
            self._domains = [(str(name), [str(host) for host in hosts]) for name, hosts in head["domains"]]
            if type(self.name) is not str or type(self.seed) not in (str, int):
                raise SnapshotError("the snapshot is damaged: its head")
        except (StopIteration, *DAMAGE) as problem:
            raise _damage(problem) from None

    def template(self, clock: Callable[[], datetime], randomness: Randomness, schedule: Schedule | None) -> Forest:
        """A new forest of the same shape; it settles what type a field has, and what a cache begins with."""
        forest = Forest(self.name, clock, randomness, schedule)
        try:
            for name, hosts in self._domains:
                forest.add_domain(name, controllers=hosts)
        except DAMAGE as problem:
            raise _damage(problem) from None
        return forest

    def into(self, objects: Objects, template: Objects) -> None:
        """Read everything, then make ``objects`` what was read. Raises SnapshotError before anything is changed."""
        forest: Forest = objects["forest"]
        try:
            known = forest.randomness.children()
            streams = {name: (known.get(name, Random()), _generator(*state)) for name, state in next(self._lines)}  # noqa: S311
            if not all(_is_stream(name, dict(self._domains)) for name in streams):
                raise SnapshotError("the snapshot is damaged: generators of something else")
            with uncollected():
                states = self._states(objects, template, {name: random for name, (random, _) in streams.items()})
        except (StopIteration, *DAMAGE) as problem:
            raise _damage(problem) from None
        for name, found in objects.items():
            _become(found, states[name])
        _rewind(forest, streams)
        for domain in forest.domains.values():
            _tie(domain)

    def _assembled(self, objects: Objects, fields: dict[str, dict[str, Any]]) -> None:
        """Add what ties the parts of the forest together."""
        fields["forest"]["domains"] = {name: objects[f"domain {name}"] for name, _ in self._domains}
        for name, hosts in self._domains:
            domain, partners = objects[f"domain {name}"], objects[f"partners {name}"]
            controllers = {host: objects[f"controller {name} {host}"] for host in hosts}
            fields[f"domain {name}"] |= {"forest": objects["forest"], "partners": partners, "controllers": controllers}
            fields[f"partners {name}"]["_domain"] = domain
            for host, controller in controllers.items():
                replica = objects[f"replica {name} {host}"]
                fields[f"controller {name} {host}"] |= {"domain": domain, "replica": replica}
                fields[f"replica {name} {host}"]["owner"] = controller
            for (source, target), due in fields[f"partners {name}"]["_queued"].items():
                if not {source, target} <= controllers.keys() or type(due) is not datetime or due.tzinfo is None:
                    raise SnapshotError("the snapshot is damaged: what is queued for replication")

    def _states(self, objects: Objects, template: Objects, streams: Mapping[str, Random]) -> dict[str, dict[str, Any]]:
        fields: dict[str, dict[str, Any]] = {name: {} for name in objects}
        entries: dict[str, dict[bytes, Entry]] = {}
        while name := next(self._lines):
            found = objects[name]
            if isinstance(found, Replica):
                fields[name] = snapshot_entries.read(self._lines, found)
                entries[name] = fields[name]["by_guid"]
            else:
                first = next(iter(found.controllers))
                known = entries[f"replica {found.name} {first}"]
                fields[name] = {"password_log": snapshot_entries.read_log(self._lines, known)}
        codec = _codec(objects, streams, entries)
        for name, state in self._lines:
            fields[name] |= _fields(template[name], {field: codec.decode(node) for field, node in state.items()})
        self._assembled(objects, fields)
        return fields


def _fields(template: Any, state: dict[str, Any]) -> dict[str, Any]:
    """The fields of an object as read, with fresh caches. Raises SnapshotError unless they are those of its class."""
    known = vars(template)
    if state.keys() != known.keys() - _left_out(template):
        raise SnapshotError(f"the snapshot is damaged: the fields of {template!r}")
    for field, value in state.items():
        kind = type(known[field])
        optional = kind is type(None) or (value is None and kind not in (dict, list))
        if type(value) is not kind and not optional:
            raise SnapshotError(f"the snapshot is damaged: {field} of {template!r}")
    return state | {field: known[field] for field in CACHES.get(type(template), ())}


def _generator(octets: bytes, gauss: float | None) -> tuple[Any, ...]:
    state = (3, _STATE.unpack(octets), gauss)
    Random().setstate(state)  # noqa: S311 - tells now whether it is one
    return state


def _become(found: Any, fields: dict[str, Any]) -> None:
    """Give an object its fields; lists and mappings that someone may hold stay the same ones."""
    known = vars(found)
    for field, value in fields.items():
        before = known.get(field)
        if before is value:
            continue
        if type(before) is dict:
            before.clear()
            before.update(value)
        elif type(before) is list:
            before[:] = value
        else:
            known[field] = value


def _rewind(forest: Forest, streams: dict[str, tuple[Random, tuple[Any, ...]]]) -> None:
    """Put the forest's generators to where they stood; those that had not been used yet, to their beginning."""
    randomness = forest.randomness
    for name, random in _streams(forest).items():
        if name not in streams:
            random.setstate(Randomness(randomness.seed).child(name).getstate())
    for name, (random, state) in streams.items():
        random.setstate(state)
        randomness.adopt(name, random)


def _tie(domain: Domain) -> None:
    """Have writes announced, and what was queued for replication fetched in its time."""
    controllers, partners = domain.controllers, domain.partners
    for controller in controllers.values():
        controller.replica.notify = partial(domain._wrote, controller) if len(controllers) > 1 else None
    waiting = dict(partners._queued)
    partners._queued.clear()
    now = domain.forest.clock()
    for (source, target), due in waiting.items():
        partners._queue(controllers[source], controllers[target], max(due - now, timedelta(0)))


def _damage(problem: BaseException) -> SnapshotError:
    if isinstance(problem, SnapshotError):
        return problem
    return SnapshotError(f"the snapshot is damaged: {type(problem).__name__} {problem}")
