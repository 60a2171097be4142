"""From a scenario's ``given`` to a world that stands at ``+0s``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pwsync.ports import AgentFactory
from pwsync.replication.client import source_anchor
from pwsync.settings import Scope
from simulator.active_directory.ldif import load_ldif
from simulator.active_directory.population import populate
from simulator.active_directory.state import Domain, DomainPolicy, FineGrainedPolicy, Forest
from simulator.azure_ad.policy import CloudPolicy
from simulator.people import Person
from simulator.profile import PROFILES, Profile
from simulator.scenario.given_models import DEFAULT_DOMAIN, DomainSpec
from simulator.world import World

if TYPE_CHECKING:
    from simulator.active_directory.replica import Entry
    from simulator.active_directory.state import Controller
    from simulator.domain_services.state import Picture
    from simulator.scenario.file import Case
    from simulator.scenario.given_models import CloudPolicyKeys, DomainPolicyKeys, Given, UserSpec


def build_world(case: Case, *, seed: int | None = None, engine: AgentFactory | None = None) -> World:
    """A world as ``given`` describes it, at the scenario's start, nothing run yet."""
    scenario = case.scenario
    given = scenario.given
    profile = PROFILES[case.profile]
    kinds: dict[str, Any] = {} if engine is None else {"engine": engine}
    world = World(
        start=scenario.start,
        seed=scenario.seed if seed is None else seed,
        profile=profile,
        cloud_policy=cloud_policy(profile, given.cloud.policy),
        faults=scenario.faults,
        cloud_latency=given.network.cloud_latency,
        directory_latency=given.network.directory_latency,
        name=case.id,
        **kinds,
    )
    for name, domains in forest_specs(given).items():
        forest = Forest(name, world.clock, world.randomness)
        world.forests[name] = forest
        for domain_name, spec in domains.items():
            domain = forest.add_domain(
                domain_name,
                domain_policy(spec.policy),
                controllers=spec.controllers,
                replication_delay=spec.replication_delay,
            )
            for settings in fine_grained(spec):
                domain.add_fine_grained(settings)
    world.default_domain = given.default_domain()
    return world


def forest_specs(given: Given) -> dict[str, dict[str, DomainSpec]]:
    """Forests by name, with their domains; one forest with one domain if nothing is said."""
    if given.forests:
        return {name: dict(forest.domains) for name, forest in given.forests.items()}
    if given.forest is not None:
        domains = dict(given.forest.domains)
        return {next(iter(domains)): domains}
    return {DEFAULT_DOMAIN: {DEFAULT_DOMAIN: DomainSpec()}}


def domain_policy(keys: DomainPolicyKeys | None) -> DomainPolicy:
    """A domain's password policy: the keys given over the defaults."""
    return DomainPolicy() if keys is None else DomainPolicy(**policy_keys(keys))


def fine_grained(spec: DomainSpec) -> list[FineGrainedPolicy]:
    """Fine-grained policies of a domain (password settings objects): keys not given are the defaults of a domain."""
    names = {"name", "applies_to", "precedence"}
    return [
        FineGrainedPolicy(
            each.name,
            each.precedence,
            frozenset(user.casefold() for user in each.applies_to),
            DomainPolicy(**{key: getattr(each, key) for key in each.model_fields_set - names}),
        )
        for each in spec.fine_grained
    ]


def policy_keys(policy: Any) -> dict[str, Any]:
    """The keys of a policy that the file names, as Python names."""
    return {name: getattr(policy, name) for name in policy.model_fields_set if name != "domain"}


def cloud_policy(profile: Profile, keys: CloudPolicyKeys | None) -> CloudPolicy:
    """The tenant's password policy: the keys given over the profile's defaults."""
    changes = {} if keys is None else policy_keys(keys)
    return CloudPolicy(**{"max_length": profile.length_max, **changes})


BUILT_IN = frozenset({"administrator", "guest", "krbtgt"})
"""Accounts of people that every domain has from its first day on ([MS-ADTS] 6.1.1.6)."""


class Setup:
    """Brings a fresh world to ``+0s``: people, agent, and with ``settled`` the synchronizations that came before."""

    def __init__(self, world: World, case: Case) -> None:
        self.world = world
        self.case = case
        self.given = case.scenario.given
        self.later: list[Callable[[], None]] = []

    def run(self) -> None:
        """Fill the world, install the agent as ``sync`` says, and begin."""
        self._people()
        self._replicate()
        self._cloud()
        world, sync = self.world, self.given.sync
        staging = self.given.agent.staging
        world.server.fips = self.given.agent.fips and sync != "settled"
        world.configure_agent(
            world.make_settings(
                scope=scope_of(self.given.scope),
                batch_size=self.given.agent.batch_size,
                deletion_threshold=self.given.agent.deletion_threshold,
                match_by=self.given.agent.match_by,
                preferred_controllers=dict(self.given.agent.preferred_controllers),
                staging=staging and sync != "settled",
            )
        )
        if sync == "settled":
            self._settle(staging)
        elif sync == "installed":
            world.host.install(express=True, password_sync=True, object_sync=True)
        self._replicate()
        self._watch_replication()
        watch_domain_services(world)
        world.begin()

    def _settle(self, staging: bool) -> None:
        host = self.world.host
        host.install(express=True, password_sync=True, object_sync=True)
        host.run_due()
        if self.later or staging or self.given.agent.fips:
            self._become(staging)
        self.world.idle.settled()
        self.world.tenant.contact(ping=True)
        if self.world.tenant.domain_services is not None:
            self.world.tenant.domain_services.domain.settle()

    def _become(self, staging: bool) -> None:
        """Users and servers become what they are only after a first synchronization; the same process sees it."""
        host = self.world.host
        for apply in self.later:
            apply()
        self._replicate()
        if staging:
            host.agent.configure(staging=True)
            self.world.configure_agent(replace(self.world.settings, staging=True))
        host.agent.stop()
        self.world.server.fips = self.given.agent.fips
        host.agent.start()
        self.world.server.service_starts()
        host.run_due()

    def _replicate(self) -> None:
        """What comes before the run stands on all controllers."""
        for domain in self.world.domains:
            domain.replicate()

    def _watch_replication(self) -> None:
        """From now on replication takes its time, and the trace tells of people's objects."""
        world = self.world
        for forest in world.forests.values():
            forest.schedule = world.later
        for domain in world.domains:
            domain.on_replicated.append(partial(trace_replication, world))

    def _people(self) -> None:
        world = self.world
        for user in self.given.users:
            domain = world.domain(user.domain or world.default_domain)
            self._user(domain, user)
        if self.given.directory is not None:
            domain = world.domain(world.default_domain)
            path = Path(self.case.path).parent / self.given.directory
            for account, password in load_ldif(domain, path):
                world.add_person(account.name, domain.name, account.guid).upn = account.upn
                if password is not None:
                    world.passwords.learn(account.name, password)
        if self.given.population is not None:
            populate(world.domain(world.default_domain), self.given.population.count, world.randomness)

    def _user(self, domain: Domain, user: UserSpec) -> None:
        world, settled = self.world, self.given.sync == "settled"
        world.passwords.learn(user.name, user.password)
        keys = create_keys(user)
        if settled:
            keys.update(enabled=True, must_change=False)
        keys["password_age"] = user.password_age
        guid = give_user(domain, user, keys)
        world.add_person(user.name, domain.name, guid).upn = user.upn or f"{user.name}@{domain.name}"
        set_expiry(world, domain, user.name, user.account_expires)
        if settled and user.must_change:
            self.later.append(lambda: domain.require_change(user.name, True))
        if settled and user.enabled is False:
            self.later.append(lambda: domain.set_user(user.name, enabled=False))

    def _cloud(self) -> None:
        world, cloud = self.world, self.given.cloud
        for user in self.given.cloud_users:
            add_cloud_user(world, user.name, user.password, password_age=user.password_age, check_policy=False)
        for feature, state in cloud.features.items():
            world.tenant.set_feature(feature, state)
        for domain, kind in cloud.domains.items():
            if kind == "federated":
                world.tenant.federated_domains.set(domain, world.farms.trust(domain))
        # Users of the cloud have not changed their passwords since: the managed domain has none of them.
        world.tenant.set_domain_services(cloud.domain_services == "on")


def trace_replication(world: World, source: Controller, target: Controller, entries: Sequence[Entry]) -> None:
    """Trace which people's objects a controller has taken over from another."""
    handles = [world.handle_of_anchor(source_anchor(UUID(bytes_le=entry.guid))) for entry in entries]
    people = [handle for handle in handles if handle in world.people]
    if people:
        name = target.domain.name
        world.trace.say("world", f"{target.name}.{name} takes over from {source.name}: {' '.join(people)}")


def watch_domain_services(world: World) -> None:
    """From now on the trace tells when the managed domain, if there is one, takes people over from the tenant."""
    services = world.tenant.domain_services
    if services is None:
        return

    def told(pictures: Sequence[Picture]) -> None:
        handles = dict.fromkeys(world.handle_of_cloud_id(picture.id) for picture in pictures)
        people = [handle for handle in handles if handle is not None]
        if people:
            world.trace.say("world", f"Domain Services takes over from the tenant: {' '.join(people)}")

    services.domain.watch(world.later, told)


def give_user(domain: Domain, user: UserSpec, keys: Mapping[str, Any]) -> UUID:
    """Create a user of ``given``. Administrator, Guest and krbtgt, which every domain has, become as they are told.

    keys: what ``create_user`` takes. Class, OU and age of those three stay what they are. Raises Refusal.
    """
    if user.name.casefold() not in BUILT_IN:
        return domain.create_user(user.name, user.password, **keys, check_policy=False)
    domain.reset_password(user.name, user.password, keys["must_change"], check_policy=False)
    kept = ("enabled", "password_never_expires", "smartcard_required", "upn", "display_name", "attributes")
    domain.set_user(user.name, **{key: keys[key] for key in kept if keys[key]})
    return domain.find(user.name).guid


def create_keys(user: Any) -> dict[str, Any]:
    """What ``create_user`` of a domain takes, from a user of ``given`` or of ``ad.create-user``."""
    return {
        "user_class": user.class_,
        "display_name": user.display_name,
        "upn": user.upn,
        "ou": user.ou,
        "enabled": user.enabled,
        "must_change": user.must_change,
        "password_never_expires": user.password_never_expires,
        "smartcard_required": user.smartcard_required,
        "critical": user.critical,
        "attributes": dict(user.attributes),
    }


def set_expiry(world: World, domain: Domain, handle: str, expires: timedelta | str | None) -> None:
    """Set when a user's account expires, as an offset from the run's start or ``never``; None leaves it."""
    if expires is not None:
        moment = None if isinstance(expires, str) else world.start + expires
        domain.set_user(handle, account_expires=moment)


def add_cloud_user(world: World, name: str, password: str, **options: Any) -> None:
    """Create a user in the tenant and remember whose it is."""
    user = world.tenant.create_user(name, password, **options)
    world.passwords.learn(name, password)
    person = world.people.setdefault(name, Person(name))
    person.cloud_id = user.id
    person.upn = user.upn


def scope_of(keys: Any) -> Scope:
    """The agent's scope from a ``scope`` mapping of a file."""
    if keys is None:
        return Scope()
    return Scope(tuple(keys.ous or ()), tuple(keys.exclude_ous or ()), dict(keys.exclude_attribute or {}))
