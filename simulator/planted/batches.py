"""Bugs at the edges of batches and pages: the fiftieth item, the second page, the hash in the wrong place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from pwsync import credential, credential_batches, directory, object_cycle, password_cycle
from pwsync.object_cycle import ObjectCycle
from pwsync.replication.client import ReplicationClient
from pwsync.stretching import KEY_SIZE
from simulator.active_directory.replication import _Writer
from simulator.planted.plant import Bed

BED = Bed("batches")


@BED.instead(password_cycle, "in_batches", breaks="initial.all-in-scope")
def fifty_first_item(true: Any, ordered: Any, size: int, *more: Any) -> Any:
    """Puts one item too many into each batch. Hurts everybody in a rush: the service refuses the whole batch."""
    return true(ordered, size + 1, *more)


@BED.instead(password_cycle, "in_batches", breaks="initial.all-in-scope delta.within-minutes")
def fiftieth_item_left_behind(true: Any, ordered: Any, size: int, *more: Any) -> Any:
    """Leaves out the last item of every full batch. Hurts one user in fifty, who waits for the next cycle."""
    return true([state for index, state in enumerate(ordered, 1) if index % size], size, *more)


@BED.instead(credential_batches, "protect_many", breaks="delta.within-minutes initial.all-in-scope")
def chunks_change_places(true: Any, hashes: Any, pool: Any, *arguments: Any) -> Iterator[str]:
    """Hands out the chunk that is done first, whosever it is. Hurts all: their neighbours' passwords open the cloud."""
    texts = list(true(hashes, pool, *arguments))
    chunk = credential.CHUNK_SIZE
    return iter([*texts[chunk:], *texts[:chunk]])


@BED.instead(credential, "_protect_chunk", breaks="delta.within-minutes initial.all-in-scope")
def lower_case_hex(true: Any, chunk: Any, iterations: int, *means: Any) -> list[str]:
    """Writes the hash in lower-case hex before it is stretched, where many are stretched at once.

    Hurts all users of a full batch: no password of theirs opens the cloud.
    """
    found = []
    for nt, salt in chunk:
        secret = nt.hex().encode("utf-16-le")
        key = PBKDF2HMAC(SHA256(), KEY_SIZE, salt, iterations).derive(secret)
        found.append(str(credential.Credential(salt, iterations, key)))
    return found


@BED.instead(ReplicationClient, "changes", breaks="delta.within-minutes initial.all-in-scope")
def first_page_only(true: Any, self: Any, *arguments: Any, **named: Any) -> Any:
    """Reads one page a cycle. Hurts whoever is number 501 on the morning when all passwords expire."""
    return true(self, *arguments, **named)._replace(more=False)


@BED.instead(ReplicationClient, "changes", breaks="initial.all-in-scope delta.within-minutes")
def last_page_only(true: Any, self: Any, *arguments: Any, **named: Any) -> Any:
    """Keeps the last page of a read and throws the others away. Hurts the first 500 of a big day, for good."""
    page = true(self, *arguments, **named)
    return page._replace(objects=[]) if page.more else page


@BED.instead(_Writer, "page", breaks="initial.all-in-scope delta.within-minutes")
def page_loses_its_last(true: Any, self: Any, cookie: Any, objects_max: int) -> Any:
    """Loses the last object of a page if another page follows. Hurts one user in 500, whom nobody ever reads."""
    page = true(self, cookie, objects_max)
    return {**page, "objects": page["objects"][:-1]} if page["more"] else page


@BED.instead(directory, "_search", breaks="initial.all-in-scope")
def first_page_of_people(true: Any, connection: Any, base: str, attributes: Any) -> Iterator[Any]:
    """Takes the first page of a full import for all there is. Hurts whoever is number 501 of a company."""
    return islice(true(connection, base, attributes), directory.PAGE)


@BED.instead(object_cycle, "read_everything", breaks="initial.all-in-scope")
def cookie_after_the_pages(true: Any, connect: Any, domain: str, password: str, attributes: Any) -> Any:
    """Takes the cookie of a full import after its pages. Hurts whom something happens to while they are read."""
    found = true(connect, domain, password, attributes)
    with directory._bound(connect, password) as connection:
        base = directory.naming_context(domain)
        late = directory._dir_sync(connection, base, ("objectGUID",), b"", directory.NOBODY)
    return replace(found, cookie=late.cookie)


@BED.instead(ObjectCycle, "_export", breaks="initial.all-in-scope initial.after-objects")
def one_export_batch_a_cycle(true: Any, self: Any) -> None:
    """Exports 500 objects and leaves the others for the next cycle. Hurts new people 501 and on, by half an hour."""
    outbound = self._state.outbound
    rest = dict(list(outbound.items())[500:])
    for anchor in rest:
        del outbound[anchor]
    true(self)
    outbound.update(rest)
