"""A world on real ports: LDAP for every controller; tenant, AD FS, replication and control behind one HTTPS port."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

import requests

from simulator.active_directory.population import Invented, populate
from simulator.active_directory.port import DirectoryPort, reset
from simulator.azure_ad import provisioning
from simulator.azure_ad.doubles import TenantDouble
from simulator.azure_ad.permissions import APPLICATION
from simulator.azure_ad.wire import Answer, Call, json_answer, read_form
from simulator.certificates import Authority
from simulator.serving.control import Control
from simulator.serving.https import HangUp, HttpsPort
from simulator.serving.managed import ManagedPorts, Numbers
from simulator.serving.replication import PREFIX, ReplicationEndpoint
from simulator.serving.time import WorldTime
from simulator.wires import CloudWire

if TYPE_CHECKING:
    import socket
    from threading import RLock

    from simulator.scenario.file import Case
    from simulator.world import World

NO_NUMBERS = Numbers()
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
ATTEMPTS_KEPT = 10_000
"""A served world may stand for weeks: of the calls that its wires have carried the last ones are kept."""


class LinkedPort(DirectoryPort):
    """A controller's LDAP ports behind a network link, which may be down."""

    def __init__(self, *arguments: Any, link_is_down: Callable[[], bool], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._link_is_down = link_is_down

    def _accept(self, listener: socket.socket) -> None:
        if self._link_is_down():
            raw, _ = listener.accept()
            reset(raw)
            return
        super()._accept(listener)

    def hang_up(self) -> None:
        """Break all connections off."""
        with self._book:
            for each in self._connections:
                each.shut()


class ServedWorld:
    """A world whose ``with`` block is its time on real ports.

    pace: see :class:`~simulator.serving.time.WorldTime`. ldap_port, ldaps_port, https_port: 0 for any that are free; of
    several controllers each further one gets the next numbers. hosted: the world's own agent runs within. invented: who
    was invented, for whoever wants to show one. client: id and secret of an application that may do everything.
    managed: the managed domain's ports. client_clock: the clock of whoever calls the federation servers, which take a
    message stamped by it or by the world's; None: the world's alone. Raises PortUnavailable.
    """

    def __init__(
        self,
        world: World,
        *,
        pace: float = 1.0,
        host: str = "127.0.0.1",
        ldap_port: int = 0,
        ldaps_port: int = 0,
        https_port: int = 0,
        require_signing: bool = False,
        hosted: bool = False,
        authority: Authority | None = None,
        invented: tuple[Invented, ...] = (),
        client: tuple[str, str] = ("", ""),
        managed: Numbers = NO_NUMBERS,
        client_clock: Callable[[], datetime] | None = None,
    ) -> None:
        self.world = world
        self.hosted = hosted
        self.invented = invented
        world.idle.skipping = hosted
        for farm in world.farms.by_host.values():
            farm.client_clock = client_clock or farm.clock
        self.client = client
        self.authority = authority or Authority()
        self.time = WorldTime(world.clock, world.run_until, 0.0)
        self._pace = pace
        self.directories = [
            LinkedPort(
                controller,
                link_is_down=partial(self._link_is_down, controller.domain.name),
                host=host,
                ldap_port=ldap_port and ldap_port + number,
                ldaps_port=ldaps_port and ldaps_port + number,
                authority=self.authority,
                require_signing=require_signing,
                lock=cast("RLock", self.time),
            )
            for number, controller in enumerate(
                controller for domain in world.domains for controller in domain.controllers.values()
            )
        ]
        controllers = [f"{port.controller.name}.{port.controller.domain.name}" for port in self.directories]
        self._cloud = CloudWire(world)
        self.https = HttpsPort(
            self._answer,
            names=(*LOCAL_NAMES, host, *self._cloud.hosts, *controllers),
            authority=self.authority,
            host=host,
            port=https_port,
        )
        lock = cast("RLock", self.time)
        self.managed = ManagedPorts(world, lock, self.authority, host=host, numbers=managed)
        self.control = Control(world, self.time, hosted=hosted)
        self.control.after_restore = self._hang_up
        self._replication = ReplicationEndpoint(world)
        self._cloud_hosts = frozenset(self._cloud.hosts)
        self._local = frozenset((*LOCAL_NAMES, host.lower()))
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            if self.hosted:
                opening.enter_context(TenantDouble(self._cloud))
            for port in self.directories:
                opening.enter_context(port)
            opening.enter_context(self.managed)
            opening.enter_context(self.https)
            self.time.set_pace(self._pace)
            self.time.start()
            opening.callback(self.time.stop)
            self._open = opening.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._open.close()

    def _link_is_down(self, domain: str) -> bool:
        return domain in self.world.network.down

    def close_store(self) -> None:
        """Let go of what the world itself holds open."""
        self.world.store.close()
        self.world.session.close()

    @property
    def url(self) -> str:
        """Where replication and control are."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.https.host, self.https.host)  # noqa: S104
        return f"https://{f'[{host}]' if ':' in host else host}:{self.https.port}"

    # --- HTTPS

    def _answer(self, environ: Mapping[str, Any]) -> Answer:
        host = host_of(environ)
        if host in self._cloud_hosts:
            return self._cloud_answer(environ)
        call = _call(environ, host)
        if call is None:
            return json_answer(400, {"error": {"code": "BadRequest", "message": "unreadable request"}})
        if call.path.startswith(PREFIX):
            with self.time:
                self.control.agent_calls += 1
                answer = self._replication.handle(call)
                self._tidy()
                return answer
        if host in self._local:
            answer = self.control.handle(call)
            self.managed.follow()
            return answer
        known = [f"https://{each}" for each in (*self._cloud_hosts, *self._local)]
        message = f"This world has no https://{host}. It has: {'; '.join(sorted(known))}."
        return json_answer(404, {"error": {"code": "UnknownHost", "message": message}})

    def _cloud_answer(self, environ: Mapping[str, Any]) -> Answer:
        with self.time:
            if host_of(environ) in (provisioning.HOST, provisioning.REGIONAL_HOST):  # only agents call them
                self.control.agent_calls += 1
            try:
                return self._cloud.answer(environ)
            except requests.RequestException:
                raise HangUp from None  # a fault, the link is down, or the federation servers are
            finally:
                self._tidy()

    def _hang_up(self) -> None:
        """Clients of the world that was left have to connect and sign on anew."""
        for port in self.directories:
            port.hang_up()
        self.managed.hang_up()
        self._replication = ReplicationEndpoint(self.world)

    def _tidy(self) -> None:
        self.world.requests.clear()
        attempts = self.world.network.attempts
        if len(attempts) > 2 * ATTEMPTS_KEPT:
            del attempts[:-ATTEMPTS_KEPT]


def host_of(environ: Mapping[str, Any]) -> str:
    """The host that a request is for: lower case, no port, no brackets."""
    host: str = environ.get("HTTP_HOST") or environ.get("SERVER_NAME", "")
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def _call(environ: Mapping[str, Any], host: str) -> Call | None:
    try:
        query = read_form(environ["QUERY_STRING"].encode("latin-1", "replace"))
    except ValueError:
        return None
    headers = {name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name[:5] == "HTTP_"}
    path = environ["PATH_INFO"].encode("latin-1", "replace").decode("utf-8", "replace")
    body = environ["wsgi.input"].read()
    return Call(environ["REQUEST_METHOD"], host, path, query, headers, body, environ)


# --- worlds to serve ----------------------------------------------------------------------------------------------


DEFAULT = """
scenario: A world of its own
why: It is served, for clients of one's own.
rules: [delta.within-minutes]
timeline:
  - {at: +0s, expect: {agent.alert: {is: none}}}
"""


def default_case(profile: str) -> Case:
    """The scenario of one domain and nobody in it."""
    from pathlib import Path

    from simulator.scenario.file import load_text

    return load_text(DEFAULT, Path("served.yaml"), profile=profile).cases[0]


def serve_case(
    case: Case,
    *,
    start: datetime,
    seed: int | None = None,
    users: int = 0,
    hosted: bool = False,
    throttle: bool = False,
    **options: Any,
) -> ServedWorld:
    """The world of a scenario's ``given`` at its ``+0s``, which is ``start``; nothing of its timeline happens.

    users: so many people are invented beside those of the file. hosted: the world has an agent within, as the file's
    ``sync`` says; otherwise there is none, and the tenant knows nobody yet. throttle: from now on the tenant
    takes as many writes of agents in five minutes as the real one. options: of :class:`ServedWorld`.
    """
    from simulator.scenario.setup import Setup, build_world

    scenario = case.scenario
    changes: dict[str, Any] = {"start": start}
    if not hosted:
        changes["given"] = scenario.given.model_copy(update={"sync": "none"})
    case = replace(case, scenario=scenario.model_copy(update=changes))
    world = build_world(case, seed=seed)
    domain = world.domain(world.default_domain)
    invented = populate(domain, users, world.randomness) if users else []
    with TenantDouble(CloudWire(world)):
        Setup(world, case).run()
    if throttle:
        world.tenant.synchronization.throttle()
    for person in invented:
        world.passwords.learn(person.name, person.password)
    for each in world.domains:
        service, _ = each.connector_account()
        for account in each.accounts():
            is_person = account.user_class in ("user", "inetOrgPerson") and not account.critical
            if is_person and account.name != service and account.name not in world.people:
                world.add_person(account.name, each.name, account.guid).upn = account.upn
    application = world.tenant.applications.register("pwsync serve", roles=APPLICATION)
    client = (application.id, world.tenant.applications.add_secret(application))
    return ServedWorld(world, hosted=hosted, invented=tuple(invented), client=client, **options)
