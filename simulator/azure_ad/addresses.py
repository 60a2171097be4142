"""Mail addresses: who holds which, and what an object wishes to have. No two live objects may hold the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any


class Addresses:
    """The addresses that are held. is_there: whether the object of an id is still live; a dead one holds nothing.

    ``released`` is set when somebody has let go of an address; whoever looks for free ones takes it back.
    """

    def __init__(self, is_there: Callable[[str], bool]) -> None:
        self.released = False
        self._is_there = is_there
        self._holders: dict[str, str] = {}
        self._held: dict[str, tuple[str, ...]] = {}

    def of(self, object_id: str) -> tuple[str, ...]:
        """What an object holds."""
        return self._held.get(object_id, ())

    def holder(self, address: str) -> str | None:
        """The id of the live object that holds an address."""
        holder = self._holders.get(address)
        if holder is None or address not in self._held.get(holder, ()) or not self._is_there(holder):
            return None
        return holder

    def taken(self, address: str, own: str | None) -> bool:
        """Does another than the object ``own`` hold it?"""
        holder = self._holders.get(address)
        return holder is not None and holder != own and self.holder(address) is not None

    def hold(self, object_id: str, addresses: tuple[str, ...]) -> None:
        """Give an object these addresses and no others."""
        if not set(self._held.get(object_id, ())).issubset(addresses):
            self.released = True
        if addresses:
            self._held[object_id] = addresses
            self._holders.update(dict.fromkeys(addresses, object_id))
        else:
            self._held.pop(object_id, None)


def wished(attributes: Mapping[str, Any]) -> Iterator[str]:
    """The addresses that an object wishes, each once; ``attributes`` by lower-case name."""
    mail = attributes.get("mail")
    found = [mail] if isinstance(mail, str) and mail else []
    return iter(dict.fromkeys(folded(each) for each in (*found, *_proxies(attributes))))


def primary(attributes: Mapping[str, Any]) -> Iterator[str]:
    """The addresses by which a new object is matched with one of the cloud: the primary one and ``mail``."""
    for each in _proxies(attributes):
        if each.startswith("SMTP:"):
            yield folded(each)
    mail = attributes.get("mail")
    if isinstance(mail, str) and mail:
        yield folded(mail)


def _proxies(attributes: Mapping[str, Any]) -> list[str]:
    value = attributes.get("proxyaddresses")
    if isinstance(value, str):
        return [value]
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def folded(text: str) -> str:
    """An address as it is compared: without case, and without the prefix of mail addresses."""
    return text.strip().lower().removeprefix("smtp:")
