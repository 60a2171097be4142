"""The agent's configuration file: where its world is, and what an administrator has set up.

JSON, readable by its owner only, because the accounts' passwords stand in it. Relative paths count from its folder.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

from pwsync.errors import AgentError
from pwsync.settings import BATCH_SIZE_MAX, BUILD_2017, BUILD_CURRENT, Build, Connector, Scope, Settings

VERSION: Final = 1
SIZE_MAX: Final = 1 << 20
BUILDS: Final[Mapping[str, Build]] = {build.name: build for build in (BUILD_2017, BUILD_CURRENT)}
_MARK: Final = "pwsync-agent"

T = TypeVar("T")


class ConfigError(AgentError):
    """The configuration file can't be used; the text says why."""


@dataclass(frozen=True)
class Addresses:
    """Where a controller is: its ports for LDAP over TLS, and the address of its replication."""

    ldaps: str
    replication: str


@dataclass(frozen=True)
class Configuration:
    """What the file says.

    store: the agent's database. authority: the certificate (PEM) that servers are trusted by. proxy: address of an HTTP
    proxy to the tenant, or None. clock: address of a served world's clock; None: this machine's. controllers: by domain
    and controller's name.
    """

    store: Path
    authority: Path
    proxy: str | None
    clock: str | None
    tenant_id: str
    tenant_authority: str
    provisioning_url: str
    controllers: Mapping[tuple[str, str], Addresses]
    settings: Settings


def write(path: Path, values: Mapping[str, Any]) -> None:
    """Write a file that :func:`load` reads: there wholly or not at all, for its owner only. Raises OSError."""
    beside = path.with_name(f".{path.name}.part")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump({_MARK: VERSION, **values}, stream, indent=2, ensure_ascii=False)
            stream.write("\n")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def is_ours(octets: bytes) -> bool:
    """Whether this is a configuration file of some version."""
    try:
        found = json.loads(octets)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and _MARK in found


def values_of(settings: Settings) -> dict[str, Any]:
    """Settings as the file has them, but for what belongs to connectors and tenant."""
    scope = settings.scope
    return {
        "build": settings.build.name,
        "staging": settings.staging,
        "batch-size": settings.batch_size,
        "object-interval-seconds": settings.object_interval.total_seconds(),
        "deletion-threshold": settings.deletion_threshold,
        "match-by": settings.match_by,
        "machine": settings.machine,
        "preferred-controllers": {name: list(each) for name, each in settings.preferred_controllers.items()},
        "scope": {
            "ous": list(scope.ous),
            "exclude-ous": list(scope.exclude_ous),
            "exclude-attribute": dict(scope.exclude_attribute),
            "included-only": scope.included_only,
        },
    }


def load(path: Path) -> Configuration:
    """Read a file. Raises ConfigError."""
    try:
        with path.open("rb") as stream:
            octets = stream.read(SIZE_MAX + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ConfigError(f'The configuration "{path}" can\'t be read: {why}.') from error
    if len(octets) > SIZE_MAX:
        raise ConfigError(f'The configuration "{path}" is longer than {SIZE_MAX} bytes.')
    try:
        found = json.loads(octets)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f'The configuration "{path}" is not JSON: {error}.') from error
    if not isinstance(found, dict) or _MARK not in found:
        raise ConfigError(f'"{path}" is not an agent\'s configuration; pwsync serve writes one.')
    if found[_MARK] != VERSION:
        raise ConfigError(f'The configuration "{path}" is of version {found[_MARK]!r}; known is {VERSION}.')
    try:
        return _read(_Part(found), path.absolute().parent)
    except ConfigError as error:
        raise ConfigError(f'The configuration "{path}" can\'t be used: {error}') from error


class _Part:
    """A mapping of the file whose values are asked for by key and kind."""

    def __init__(self, values: Mapping[str, Any], name: str = "") -> None:
        self._values = values
        self._name = name

    def get(self, key: str, kind: type[T], default: T | None = None) -> T:
        """A value that must be there, unless it has a default."""
        value: Any = self._values.get(key, default)
        fits = isinstance(value, kind) and not (kind is not bool and isinstance(value, bool))
        if not fits and kind is float and isinstance(value, int) and not isinstance(value, bool):
            return kind(value)  # type: ignore[call-arg]
        if not fits or value is None:
            raise ConfigError(f"{self._name}{key} is missing, or no {_KINDS.get(kind, kind.__name__)}.")
        found: T = value
        return found

    def maybe(self, key: str, kind: type[T]) -> T | None:
        """A value that may be missing, or null."""
        return None if self._values.get(key) is None else self.get(key, kind)

    def part(self, key: str) -> _Part:
        return _Part(self.get(key, dict, {}), f"{self._name}{key}.")

    def parts(self, key: str) -> list[_Part]:
        found = self.get(key, list)
        if not all(isinstance(each, dict) for each in found):
            raise ConfigError(f"{self._name}{key} is no list of objects.")
        return [_Part(each, f"{self._name}{key}[{number}].") for number, each in enumerate(found)]

    def texts(self, key: str) -> tuple[str, ...]:
        return texts(self.get(key, list, []), f"{self._name}{key}")

    def mapping(self, key: str) -> Mapping[str, Any]:
        return self.get(key, dict, {})


_KINDS: Final = {str: "text", int: "whole number", float: "number", bool: "true or false", list: "list", dict: "object"}


def texts(found: Any, name: str) -> tuple[str, ...]:
    """A list of texts. Raises ConfigError."""
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise ConfigError(f"{name} is no list of texts.")
    return tuple(found)


def _read(root: _Part, folder: Path) -> Configuration:
    tenant = root.part("tenant")
    connectors: list[Connector] = []
    controllers: dict[tuple[str, str], Addresses] = {}
    for part in root.parts("connectors"):
        domain = part.get("domain", str)
        names = []
        for each in part.parts("controllers"):
            names.append(each.get("name", str))
            controllers[domain, names[-1]] = Addresses(each.get("ldaps", str), each.get("replication", str))
        if not names:
            raise ConfigError(f"the connector of {domain} has no controllers.")
        account, password = part.get("account", str), part.get("password", str)
        forest = part.get("forest", str, domain)
        connectors.append(Connector(domain, forest, part.get("identifier", str), account, password, tuple(names)))
    if not connectors:
        raise ConfigError("there are no connectors.")
    return Configuration(
        folder / root.get("store", str),
        folder / root.get("authority", str),
        root.maybe("proxy", str),
        root.maybe("clock", str),
        tenant.get("id", str),
        tenant.get("authority", str),
        tenant.get("provisioning", str),
        controllers,
        _settings(root.part("settings"), tenant, connectors),
    )


def _settings(part: _Part, tenant: _Part, connectors: Sequence[Connector]) -> Settings:
    build = BUILDS.get(part.get("build", str, BUILD_2017.name))
    if build is None:
        raise ConfigError(f"settings.build is none of {', '.join(BUILDS)}.")
    interval = part.get("object-interval-seconds", float, 1800.0)
    batch, threshold = part.get("batch-size", int, BATCH_SIZE_MAX), part.get("deletion-threshold", int, 500)
    if not 1 <= batch <= BATCH_SIZE_MAX or not 60 <= interval <= 86_400.0 * 365 or threshold < 0:
        raise ConfigError(
            f"settings: batch-size is 1 to {BATCH_SIZE_MAX}, object-interval-seconds 60 or more, deletion-threshold "
            "0 or more."
        )
    scope = part.part("scope")
    preferred = part.mapping("preferred-controllers")
    for domain, names in preferred.items():
        if unknown := set(texts(names, domain)) - {n for c in connectors if c.domain == domain for n in c.controllers}:
            raise ConfigError(f"settings.preferred-controllers: {domain} has no {', '.join(sorted(unknown))}.")
    excluded = scope.mapping("exclude-attribute")
    return Settings(
        tuple(connectors),
        tenant.get("account", str),
        tenant.get("password", str),
        build=build,
        scope=Scope(
            scope.texts("ous"), scope.texts("exclude-ous"), dict(excluded), scope.get("included-only", bool, False)
        ),
        batch_size=batch,
        staging=part.get("staging", bool, False),
        preferred_controllers={domain: tuple(names) for domain, names in preferred.items()},
        object_interval=timedelta(seconds=interval),
        deletion_threshold=threshold,
        match_by=part.maybe("match-by", str),
        machine=part.get("machine", str, "SYNC01"),
    )
