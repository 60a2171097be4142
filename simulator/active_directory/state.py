"""Forests, domains and controllers: what a world builds, and what people do to users. Knows no LDAP and no RPC.

Refusals are raised as :class:`simulator.refusal.Refusal` with a word of the scenario format as reason, and the Win32
and LDAP codes that the wires answer with.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Any
from uuid import UUID

from pwsync.credential import nt_hash
from simulator.active_directory import accounts, builtin, computed, logon, names, password_settings, passwords
from simulator.active_directory.accounts import UNCHANGED, Account, Texts, Unchanged, newest_of
from simulator.active_directory.controllers import CONTROLLER_STATES, Controller, Snapshot
from simulator.active_directory.partners import Partners
from simulator.active_directory.password_settings import FineGrainedPolicy
from simulator.active_directory.passwords import PasswordSet
from simulator.active_directory.policy import DomainPolicy
from simulator.active_directory.replica import Entry
from simulator.random import Randomness
from simulator.refusal import Refusal

__all__ = [
    "CONTROLLER_STATES", "UNCHANGED", "Account", "Controller", "Domain", "DomainPolicy", "FineGrainedPolicy", "Forest",
    "PasswordSet", "Snapshot",
]  # fmt: skip

RIGHTS = ("replicate-changes", "replicate-changes-all")
FIRST_RID, RID_POOL_SIZE = 1100, 500
computed.install()
REPLICATION_DELAY = timedelta(seconds=15)
"""From a write to its announcement to the first partner (product documentation)."""

Schedule = Callable[[timedelta, Callable[[], None]], None]
"""Has something done after a delay."""

Watcher = Callable[["Controller", "Controller", Sequence[Entry]], None]
"""Is told that the second controller has taken over entries from the first."""


class Domain:
    """A domain. ``controllers`` keep one copy each; people's doings land on the first that is up, unless ``on`` names
    one, and reach the others by replication. Rights and policy are the domain's and hold everywhere at once.

    password_log: every password that was set, in order, whether it stood against others or not. on_change: called with
    the domain after each of the calls below that changed something. on_replicated: see :data:`Watcher`. awaited: GUIDs
    of password settings by the names of accounts that are still to come.
    """

    def __init__(
        self, forest: Forest, name: str, policy: DomainPolicy, controllers: Sequence[str], replication_delay: timedelta
    ) -> None:
        if not controllers:
            raise ValueError("a domain needs a controller")
        self.forest = forest
        self.name = name
        self.netbios = name.partition(".")[0].upper()[:15]
        self.dn = names.domain_dn(name)
        self.policy = policy
        parts = [self.random("sid").getrandbits(32) for _ in range(3)]
        self.sid = names.sid_bytes("S-1-5-21-" + "-".join(map(str, parts)))
        self.password_log: list[PasswordSet] = []
        self.on_change: list[Callable[[Domain], None]] = []
        self.on_replicated: list[Watcher] = []
        self.awaited: dict[str, list[bytes]] = {}
        self.controller_names = tuple(controllers)
        self._pools = 0
        self._restored = 0
        self._rights = set(RIGHTS)
        secrets = self.random("secrets")
        self.administrator_password = f"Admin-{secrets.randbytes(9).hex()}"
        self._connector = (f"MSOL_{secrets.randbytes(6).hex()}", f"Conn-{secrets.randbytes(12).hex()}-9")
        self.controllers = {each: Controller(self, each) for each in controllers}
        self.partners = Partners(self, replication_delay)
        builtin.provision(self, self.controller())
        self.replicate()
        if len(self.controllers) > 1:
            for controller in self.controllers.values():
                controller.replica.notify = partial(self._wrote, controller)

    def random(self, name: str) -> Random:
        """A generator of this domain's own, by name."""
        return self.forest.randomness.child(f"directory/{self.name}/{name}")

    def controller(self, name: str | None = None) -> Controller:
        """A controller by name, the first for None. KeyError for an unknown one."""
        return self.controllers[name if name is not None else self.controller_names[0]]

    def at(self, on: str | None) -> Controller:
        """The controller on which a person's doing lands: the one named, or the first that is up. Raises Refusal."""
        if on is not None:
            if self.controllers[on].state == "down":
                raise Refusal("not-supported", f"the controller {on} of {self.name} is down")
            return self.controllers[on]
        for controller in self.controllers.values():
            if controller.state != "down":
                return controller
        raise Refusal("not-supported", f"every controller of {self.name} is down")

    def replicate(self) -> None:
        """Bring all controllers to the same state now."""
        self.partners.settle()

    def lags(self, on: str | None = None) -> bool:
        """Whether something written on one controller has not come to another yet, or to ``on``."""
        targets = self.controllers.values() if on is None else (self.controllers[on],)
        return len(self.controllers) > 1 and any(self.partners.lags(target) for target in targets)

    def _wrote(self, controller: Controller, urgent: bool) -> None:
        self.partners.wrote(controller, urgent=urgent)

    # --- controllers --------------------------------------------------------------------------------------------

    def set_epoch(self, epoch: int) -> None:
        """The replication epoch of all controllers, as after the rename of a domain."""
        for controller in self.controllers.values():
            controller.epoch = epoch

    def snapshot_controller(self, name: str) -> Snapshot:
        """A copy of a controller's database. KeyError for an unknown controller."""
        return self.controllers[name].snapshot()

    def restore_controller(self, name: str, snapshot: Snapshot, *, reset_invocation: bool = True) -> None:
        """Put a controller's database back.

        reset_invocation: as a supported restore does: the copy is a new one, which asks its partners for everything
        since, what it made itself included. Without it, as a virtual machine that is put back: it gives out the same
        update sequence numbers again, partners pass over what is under them, and once one of them asks for more than
        the copy has, it stops replicating. :class:`Account` views taken before show the old database.
        """
        controller = self.controllers[name]
        before = controller.replica
        controller.restore(snapshot, reset_invocation=reset_invocation)
        if reset_invocation:
            self.partners.retire(before)
        self._restored += 1
        self.partners.restored(controller)
        self._changed()

    def remove_controller(self, name: str) -> None:
        """Take a controller out of the domain for good, and its account: what nobody has fetched from it is lost.

        Its name stays in everybody's vectors. KeyError for an unknown controller, ValueError for the last one.
        """
        controller = self.controllers[name]
        if len(self.controllers) == 1:
            raise ValueError(f"{name} is the last controller of {self.name}")
        del self.controllers[name]
        self.controller_names = tuple(self.controllers)
        self.partners.forget(controller)
        controller.state = "down"
        self._restored += 1
        home = self.at(None)
        account = home.replica.by_name.get(f"{name}$".casefold())
        if account is not None:
            home.replica.delete(account, home.seconds())
        self._changed()

    def take_rid_pool(self) -> range:
        """The next pool of relative identifiers."""
        start = FIRST_RID + self._pools * RID_POOL_SIZE
        self._pools += 1
        return range(start, start + RID_POOL_SIZE)

    @property
    def version(self) -> int:
        """Another one after every write on any controller, made there or taken over, and after every restore."""
        return sum(controller.replica.usn for controller in self.controllers.values()) + (self._restored << 48)

    def policy_for(self, entry: Entry) -> DomainPolicy:
        """The policy that holds for a user, as the entry's controller has it: a fine-grained one or the domain's."""
        settings = password_settings.resultant(entry)
        return self.policy if settings is None else password_settings.object_rules(settings)

    # --- users --------------------------------------------------------------------------------------------------

    def create_user(
        self,
        name: str,
        password: str,
        *,
        user_class: str = "user",
        ou: str | None = None,
        display_name: str | None = None,
        upn: str | None = None,
        enabled: bool = True,
        must_change: bool = False,
        password_never_expires: bool = False,
        smartcard_required: bool = False,
        account_expires: datetime | None = None,
        password_age: timedelta | None = None,
        critical: bool = False,
        attributes: Texts | None = None,
        check_policy: bool = True,
        on: str | None = None,
    ) -> UUID:
        """Make a user and return the objectGUID.

        ou: below the domain's root, ``OU=People`` if None; made as needed. password_age: the object with its password
        was made that long ago. check_policy False: the password is taken as it is. Raises Refusal: password-too-short,
        password-too-weak, name-taken, upn-taken, no-such-attribute, ...
        """
        entry = accounts.create(
            self, self.at(on), name, password, user_class=user_class, ou=ou, display_name=display_name, upn=upn,
            enabled=enabled, must_change=must_change, password_never_expires=password_never_expires,
            smartcard_required=smartcard_required, account_expires=account_expires, password_age=password_age,
            critical=critical, attributes=attributes, check_policy=check_policy,
        )  # fmt: skip
        self._changed()
        return UUID(bytes_le=entry.guid)

    def change_password(self, name: str, old: str, new: str, on: str | None = None) -> None:
        """A user's own change. Raises Refusal: no-such-user, locked, wrong-password, disabled, expired (the account),
        password-too-young, password-too-short, password-too-weak, password-reused."""
        passwords.change(*self._user(name, on), old, new)
        self._changed()

    def reset_password(
        self, name: str, new: str, must_change: bool = False, on: str | None = None, *, check_policy: bool = True
    ) -> None:
        """An administrator's reset. Raises Refusal: no-such-user, password-too-short, password-too-weak."""
        passwords.reset(*self._user(name, on), new, must_change=must_change, check_policy=check_policy)
        self._changed()

    def require_change(self, name: str, required: bool = True, on: str | None = None) -> None:
        """Set or clear "must change at next logon"; clearing makes the password as old as now."""
        passwords.require_change(*self._user(name, on), required)
        self._changed()

    def set_user(
        self,
        name: str,
        *,
        enabled: bool | None = None,
        account_expires: datetime | Unchanged | None = UNCHANGED,
        password_never_expires: bool | None = None,
        smartcard_required: bool | None = None,
        upn: str | None = None,
        display_name: str | None = None,
        attributes: Mapping[str, str | Sequence[str] | None] | None = None,
        user_class: str | None = None,
        on: str | None = None,
    ) -> None:
        """Change properties in one transaction; None leaves them (account_expires None: never). An attribute that is
        None is cleared. smartcard_required True replaces the password by a random one. user_class: ``user`` or
        ``inetOrgPerson``, which can become each other. Raises Refusal."""
        controller, entry = self._user(name, on)
        accounts.update(
            self, controller, entry, enabled=enabled, account_expires=account_expires,
            password_never_expires=password_never_expires, smartcard_required=smartcard_required, upn=upn,
            display_name=display_name, attributes=attributes, user_class=user_class,
        )  # fmt: skip
        self._changed()

    def unlock(self, name: str, on: str | None = None) -> None:
        """End a lockout and forget the wrong passwords."""
        accounts.unlock(*self._user(name, on))
        self._changed()

    def delete_user(self, name: str, on: str | None = None) -> None:
        """Delete a user; a tombstone remains."""
        controller, entry = self._user(name, on)
        controller.replica.delete(entry, controller.seconds())
        self._changed()

    def move_user(self, name: str, ou: str, on: str | None = None) -> None:
        """Move a user to another OU, made as needed."""
        accounts.move(*self._user(name, on), ou)
        self._changed()

    def logon(self, name: str, password: str, *, on: str | None = None, observe: bool = False) -> str:
        """The outcome of an interactive logon: ok, wrong-password, expired, must-change, disabled, locked,
        account-expired, no-such-user or unavailable. observe: no counters, no times."""
        try:
            controller = self.at(on)
        except Refusal:
            return "unavailable"
        try:
            entry = accounts.lookup(controller, name)
        except Refusal:
            return "no-such-user"
        return logon.check(controller, entry, nt_hash(password), observe=observe)

    def find(self, name: str, on: str | None = None) -> Account:
        """A user by sAMAccountName, on one controller or as it will be everywhere. Raises Refusal no-such-user."""
        if on is not None or len(self.controllers) == 1:
            return Account(accounts.lookup(self.controller(on), name))
        folded = name.casefold()
        holders = [controller.replica.by_name.get(folded) for controller in self.controllers.values()]
        found = {entry.guid: entry for entry in holders if entry is not None and entry.kind.is_account}
        live = [each for each in map(self._newest, found) if not each.deleted and each.name.casefold() == folded]
        if not live:
            raise accounts.unknown(self, name)
        return max(live, key=lambda each: each.entry.created[:3])

    def by_guid(self, guid: UUID, on: str | None = None) -> Account:
        """A user by objectGUID, deleted ones too, on one controller or as it will be everywhere. Raises Refusal."""
        octets = guid.bytes_le
        if on is not None or len(self.controllers) == 1:
            entry = self.controller(on).replica.by_guid.get(octets)
            if entry is not None and entry.kind.is_account:
                return Account(entry)
        else:
            held = [controller.replica.by_guid.get(octets) for controller in self.controllers.values()]
            entries = [entry for entry in held if entry is not None]
            if any(entry.kind.is_account for entry in entries):
                return newest_of(entries)
        raise Refusal("no-such-user", f"no user in {self.name} has the GUID {guid}")

    def accounts(self, on: str | None = None) -> Iterator[Account]:
        """All users that are not deleted, in order of creation; built-in ones and the connector's account too.

        On one controller, or all that there are anywhere and not deleted anywhere.
        """
        if on is not None or len(self.controllers) == 1:
            for entry in list(self.controller(on).replica.by_guid.values()):
                if entry.kind.is_account and not entry.deleted and entry.kind.name != "computer":
                    yield Account(entry)
            return
        guids = {guid: None for controller in self.controllers.values() for guid in controller.replica.by_guid}
        for account in map(self._newest, guids):
            if account.entry.kind.is_account and not account.deleted and account.user_class != "computer":
                yield account

    def _newest(self, guid: bytes) -> Account:
        entries = [controller.replica.by_guid.get(guid) for controller in self.controllers.values()]
        return newest_of([entry for entry in entries if entry is not None])

    def _user(self, name: str, on: str | None) -> tuple[Controller, Entry]:
        controller = self.at(on)
        return controller, accounts.lookup(controller, name)

    # --- the domain ---------------------------------------------------------------------------------------------

    def set_policy(self, **changes: Any) -> None:
        """Change keys of the domain's policy; the root object shows them."""
        controller = self.at(None)
        root = controller.replica.root
        self.policy = dataclasses.replace(self.policy, **changes)
        controller.replica.write(
            root, dict(password_settings.root_values(self.policy, root.integer("pwdproperties"))), controller.seconds()
        )
        self._changed()

    def add_fine_grained(self, settings: FineGrainedPolicy, on: str | None = None) -> UUID:
        """Make a password settings object; returns its objectGUID. Who it applies to may come later.

        Raises Refusal name-taken.
        """
        entry = password_settings.add(self, self.at(on), settings)
        self._changed()
        return UUID(bytes_le=entry.guid)

    def grant(self, right: str) -> None:
        """Give the connector's account one of :data:`RIGHTS` on the domain."""
        self._set_rights(right, self._rights | {right})

    def revoke(self, right: str) -> None:
        """Take one of :data:`RIGHTS` from the connector's account."""
        self._set_rights(right, self._rights - {right})

    def _set_rights(self, right: str, rights: set[str]) -> None:
        if right not in RIGHTS:
            raise ValueError(f"no right is called {right!r}; there are {', '.join(RIGHTS)}")
        if rights != self._rights:
            controller = self.at(None)
            self._rights = rights
            controller.replica.touch(controller.replica.root, ("ntsecuritydescriptor",), controller.seconds())
            self._changed()

    def rights_of(self, entry: Entry) -> frozenset[str]:
        """The replication rights of an account: administrators have all, the connector's what was granted."""
        if self.is_administrator(entry):
            return frozenset(RIGHTS)
        if entry.text("samaccountname") == self._connector[0]:
            return frozenset(self._rights)
        return frozenset()

    def is_administrator(self, entry: Entry) -> bool:
        """Whether an account is a member of Domain Admins."""
        admins = entry.replica.by_rid[512]
        return admins.guid in entry.replica.groups_of.get(entry.guid, ())

    def connector_account(self) -> tuple[str, str]:
        """Name and current password of the agent's account in this domain."""
        return self._connector

    def set_connector_password(self, new: str) -> None:
        """Change the connector account's password in the directory."""
        name = self._connector[0]
        passwords.store(*self._user(name, None), nt_hash(new), "reset", clear=new)
        self._connector = (name, new)
        self._changed()

    def _changed(self) -> None:
        for tell in self.on_change:
            tell(self)

    def __repr__(self) -> str:
        return f"<Domain {self.name}>"


class Forest:
    """A forest. ``clock`` gives the time now (aware UTC); ``randomness`` everything that is drawn.

    schedule: has replication between controllers happen in time; without it only :meth:`Domain.replicate` makes it
    happen. It may be set at any time, after a ``replicate``. heuristics: dSHeuristics of the forest's configuration.
    """

    def __init__(
        self, name: str, clock: Callable[[], datetime], randomness: Randomness, schedule: Schedule | None = None
    ) -> None:
        self.name = name
        self.clock = clock
        self.randomness = randomness
        self.schedule = schedule
        self.domains: dict[str, Domain] = {}
        self.heuristics = ""
        self._root_dn: str | None = None

    @property
    def root_dn(self) -> str:
        """DN of the root domain: the first that was added."""
        if self._root_dn is None:
            raise RuntimeError(f"forest {self.name} has no domain yet")
        return self._root_dn

    def add_domain(
        self,
        name: str,
        policy: DomainPolicy | None = None,
        controllers: Sequence[str] = ("dc1",),
        replication_delay: timedelta = REPLICATION_DELAY,
    ) -> Domain:
        """A new domain with its built-in objects. ValueError if there is one of that name."""
        if name in self.domains:
            raise ValueError(f"forest {self.name} already has a domain {name}")
        self._root_dn = self._root_dn or names.domain_dn(name)
        domain = self.domains[name] = Domain(self, name, policy or DomainPolicy(), controllers, replication_delay)
        return domain

    def snapshot(self) -> bytes:
        """Everything that decides what the forest will answer; see :mod:`simulator.active_directory.snapshot`."""
        from simulator.active_directory import snapshot

        return snapshot.take(self)

    def restore(self, octets: bytes) -> None:
        """Put the forest back to what a snapshot of it has. Raises SnapshotError before anything is changed."""
        from simulator.active_directory import snapshot

        snapshot.restore(self, octets)
