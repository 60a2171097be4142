"""Images of objects in memory: what everything reachable from some objects holds now, and putting it back in place.

Putting back gives each object its old contents and makes no copies: whoever holds an object goes on holding the right
one, closures, bound methods and queued calls included. Objects that came into being since are left to the garbage
collector. An image is no file and outlives no process.

What has contents that Python can't read and write (a file, a running generator, a half-made hash) can't be in an image:
:class:`ImageError` names it, and who holds it. Handles of the process itself (locks, connections, loggers) are passed
over: they are no state of what holds them.
"""

from __future__ import annotations

import datetime as dates
import decimal
import functools
import gc
import logging
import operator
import pathlib
import re
import sqlite3
import ssl
import threading
import types
import uuid
import weakref
from array import array
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from random import Random
from typing import Any, Final

from simulator.collection import uncollected


class ImageError(Exception):
    """Something that is reachable has contents that no image can hold; the text says what, and who holds it."""


CONSTANTS: Final[frozenset[type]] = frozenset((
    object, type(None), bool, int, float, complex, str, bytes, type, range, slice, type(Ellipsis), type(NotImplemented),
    dates.datetime, dates.date, dates.time, dates.timedelta, dates.timezone, decimal.Decimal, uuid.UUID, re.Pattern,
    pathlib.PosixPath, IPv4Address, IPv6Address, types.ModuleType, types.GenericAlias, types.UnionType, types.CodeType,
    property, staticmethod, classmethod, operator.itemgetter, operator.attrgetter, operator.methodcaller,
    types.WrapperDescriptorType, types.MethodDescriptorType, types.GetSetDescriptorType, types.MemberDescriptorType,
))  # fmt: skip
"""What never changes."""

HANDLES: Final[tuple[type, ...]] = (
    type(threading.Lock()), type(threading.RLock()), threading.Condition, threading.Event, threading.Thread,
    weakref.ReferenceType, weakref.finalize, sqlite3.Connection, ssl.SSLContext, logging.Logger,
)  # fmt: skip
"""What belongs to the process, not to the state; subclasses too."""

FIXED_LIBRARIES: Final = ("cryptography.", "Crypto.")
"""Packages whose objects are keys and certificates, which do not change."""

_UNSET: Final = object()
_WORD: Final = tuple.__itemsize__

Children = Iterable[Any]
Capture = Callable[[Any], tuple[Any, Children]]
"""What an object holds now, and the objects in it that may hold something themselves."""
PutBack = Callable[[Any, Any], None]


class Image:
    """What ``roots`` and everything reachable from them hold now. Raises ImageError.

    keep: further types of handles, passed over with their subclasses.
    """

    def __init__(self, *roots: object, keep: Iterable[type] = ()) -> None:
        self._roots = roots
        self._kinds: dict[type, _Kind | None] = {}
        self._handles = (*HANDLES, *keep)
        self._held: list[tuple[PutBack, Any, Any]] = []
        with uncollected():
            self._look()

    def __len__(self) -> int:
        """How many objects can change, and are in the image."""
        return len(self._held)

    def restore(self) -> None:
        """Put everything back; as often as wanted."""
        with uncollected():
            for put_back, found, contents in self._held:
                put_back(found, contents)

    def holds(self, kind: type) -> bool:
        """Whether an object of this class, or a subclass, is in the image."""
        return any(isinstance(found, kind) for _, found, _ in self._held)

    def _look(self) -> None:
        """Capture what can be reached. Ids stay their objects' own: contents that are captured keep them alive."""
        kinds, held = self._kinds, self._held
        seen: set[int] = set()
        waiting: list[Any] = []
        wait = waiting.append
        holder: Any = None
        children: Children = self._roots
        while True:
            for child in children:
                kind = type(child)
                try:
                    how = kinds[kind]
                except KeyError:
                    how = kinds[kind] = self._kind(kind, holder)
                if how is not None and id(child) not in seen:
                    seen.add(id(child))
                    wait((child, how))
            if not waiting:
                return
            holder, how = waiting.pop()
            contents, children = how.capture(holder)
            if how.put_back is not None:
                held.append((how.put_back, holder, contents))

    def _kind(self, kind: type, holder: Any) -> _Kind | None:
        if kind in CONSTANTS or issubclass(kind, (type, Enum, *self._handles)):
            return None
        if kind.__module__.startswith(FIXED_LIBRARIES):
            return None
        known = _KINDS.get(kind)
        if known is not None:
            return known
        if issubclass(kind, Random):
            return _KINDS[Random]
        return _of_class(kind, holder)


class _Kind:
    """How objects of one type are captured and put back; without ``put_back`` they themselves can't change."""

    __slots__ = ("capture", "put_back")

    def __init__(self, capture: Capture, put_back: PutBack | None = None) -> None:
        self.capture = capture
        self.put_back = put_back


# --- plain containers -----------------------------------------------------------------------------------------------


def _capture_dict(found: dict[Any, Any]) -> tuple[Any, Children]:
    contents = dict(found)
    return contents, (*contents, *contents.values())


def _put_dict(found: dict[Any, Any], contents: dict[Any, Any]) -> None:
    found.clear()
    found.update(contents)


def _capture_items(found: Any) -> tuple[Any, Children]:
    contents = tuple(found)
    return contents, contents


def _put_items(found: Any, contents: Any) -> None:
    found.clear()
    found.extend(contents)


def _put_set(found: set[Any], contents: Any) -> None:
    found.clear()
    found.update(contents)


def _capture_octets(found: Any) -> tuple[Any, Children]:
    return found[:], ()


def _put_octets(found: Any, contents: Any) -> None:
    found[:] = contents


def _capture_cell(found: types.CellType) -> tuple[Any, Children]:
    try:
        contents = found.cell_contents
    except ValueError:  # not set yet, or not any more
        return _UNSET, ()
    return contents, (contents,)


def _put_cell(found: types.CellType, contents: Any) -> None:
    if contents is _UNSET:
        del found.cell_contents
    else:
        found.cell_contents = contents


def _through(children: Callable[[Any], Children]) -> _Kind:
    return _Kind(lambda found: (None, children(found)))


_DICT: Final = _Kind(_capture_dict, _put_dict)
_ITEMS: Final = _Kind(_capture_items, _put_items)
_OCTETS: Final = _Kind(_capture_octets, _put_octets)

_KINDS: Final[dict[type, _Kind]] = {
    dict: _DICT,
    OrderedDict: _DICT,
    Counter: _DICT,
    defaultdict: _DICT,
    list: _ITEMS,
    deque: _ITEMS,
    set: _Kind(_capture_items, _put_set),
    bytearray: _OCTETS,
    array: _OCTETS,
    types.CellType: _Kind(_capture_cell, _put_cell),
    Random: _Kind(lambda found: (found.getstate(), ()), lambda found, state: found.setstate(state)),
    tuple: _through(lambda found: found),
    frozenset: _through(lambda found: found),
    types.MappingProxyType: _through(gc.get_referents),
    types.MethodType: _through(lambda found: (found.__self__,)),
    types.BuiltinMethodType: _through(lambda found: (found.__self__,)),
    types.FunctionType: _through(lambda found: (found.__closure__, found.__defaults__, found.__kwdefaults__)),
    functools.partial: _through(lambda found: (found.func, found.args, found.keywords)),
}


# --- instances of classes -------------------------------------------------------------------------------------------


def _of_class(kind: type, holder: Any) -> _Kind:
    """Instances of a class written in Python: their attributes, their slots, and what they are as a container."""
    base = next(each for each in kind.__mro__ if each in _KINDS or each in CONSTANTS)
    members = [
        each
        for owner in kind.__mro__
        for each in vars(owner).values()
        if isinstance(each, types.MemberDescriptorType) and owner.__flags__ & _MADE_AT_RUN_TIME
    ]
    known = base.__basicsize__ + _WORD * (len(members) + bool(kind.__dictoffset__) + bool(kind.__weakrefoffset__))
    if kind.__basicsize__ > known or not kind.__flags__ & _MADE_AT_RUN_TIME:
        name = f"{kind.__module__}.{kind.__qualname__}"
        raise ImageError(f"no image can hold a {name}, which a {type(holder).__qualname__} holds")
    inner = _KINDS.get(base)
    if inner is not None and inner.put_back is None and not members and not kind.__dictoffset__:
        return inner  # a named tuple
    return _Attributes(inner, members, has_dict=bool(kind.__dictoffset__))


_MADE_AT_RUN_TIME: Final = 1 << 9
"""Py_TPFLAGS_HEAPTYPE: the classes that Python code defines have it."""


class _Attributes(_Kind):
    """Attributes and slots, which are written past ``__setattr__``, beside what ``inner`` captures."""

    __slots__ = ("_get", "_has_dict", "_inner", "_members")

    def __init__(self, inner: _Kind | None, members: list[types.MemberDescriptorType], *, has_dict: bool) -> None:
        self._inner = inner
        self._members = members
        self._has_dict = has_dict
        names = [each.__name__ for each in members]
        # With two names at least it gives them all at once, as a tuple.
        self._get = operator.attrgetter(*names) if len(names) > 1 and len(set(names)) == len(names) else None
        super().__init__(self._capture, self._put_back)

    def _capture(self, found: Any) -> tuple[Any, Children]:
        slots = self._slots(found)
        if not self._has_dict and self._inner is None:
            return (slots, None, None), slots
        named = dict(found.__dict__) if self._has_dict else {}
        children = [*slots, *named.values()]
        contents = None
        if self._inner is not None:
            contents, more = self._inner.capture(found)
            children.extend(more)
        return (slots, named, contents), children

    def _slots(self, found: Any) -> tuple[Any, ...]:
        if self._get is not None:
            try:
                values: tuple[Any, ...] = self._get(found)
            except AttributeError:  # one is not set
                pass
            else:
                return values
        return tuple(_slot(each, found) for each in self._members)

    def _put_back(self, found: Any, held: Any) -> None:
        slots, named, contents = held
        for member, value in zip(self._members, slots, strict=True):
            if value is not _UNSET:
                member.__set__(found, value)
            elif _slot(member, found) is not _UNSET:
                member.__delete__(found)
        if self._has_dict:
            _put_dict(found.__dict__, named)
        if self._inner is not None and self._inner.put_back is not None:
            self._inner.put_back(found, contents)


def _slot(member: types.MemberDescriptorType, found: Any) -> Any:
    try:
        return member.__get__(found)
    except AttributeError:
        return _UNSET
