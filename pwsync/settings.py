"""What an administrator sets up: connectors, scope, batches, and the build's behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

PASSWORD_INTERVAL = timedelta(minutes=2)
"""The password cycle's period; fixed in the product."""

BATCH_SIZE_MAX = 50
"""Most credentials that one call to the provisioning service may carry."""


@dataclass(frozen=True)
class Build:
    """How this build of the agent behaves where builds differ.

    force_password_change: a must-change password is sent with the force flag if the tenant's feature is on (2.0.3.0);
        otherwise such passwords are never sent.
    reevaluate_must_change: setting or clearing "must change" without a new password is looked at again (2.0.3.0).
    hash_in_texts: event texts say "Password hash synchronization" instead of "Password synchronization".
    change_on_logon_in_texts: event 657 shows PwdChangeOnLogon.
    long_events_split: requests and results that are too long for one event are split in several (2.0.9.0).
    alive_in_log: event 663 tells that the password manager is alive (since which build is unconfirmed).
    number: the build number that the agent tells the service.
    forgets_unsaved_cookie: a cycle whose cookie can't be stored sends all the same, and the next one begins from the
        last cookie that was stored (before 1.1.553.0); otherwise nothing goes out that is not stored.
    learns_epoch: a renamed domain's replication epoch is taken from its controllers (1.6.13.0).
    decryption_key_event: that MD5 is not to be had is event 667, not one 611 among others.
    heals_feature: where the tenant's feature is off and passwords are synchronized here, the agent switches it on again
        (documented by events 660 and 661 alone; since which build is unconfirmed).
    keeps_endpoint: the regional endpoint that the service has named is kept until a restart, reachable or not (before
        1.1.614.0); otherwise a connection that breaks leads back to the well-known one.
    single_user: one user's password can be synchronized by itself (1.1.749.0).
    selective: the passwords of chosen users alone can be synchronized, by rules keyed on an attribute (1.6.2.4).
    folder: where the service is installed; its configuration file lies there.
    """

    name: str
    number: str
    folder: str
    forgets_unsaved_cookie: bool
    learns_epoch: bool
    decryption_key_event: bool
    force_password_change: bool
    reevaluate_must_change: bool
    hash_in_texts: bool
    change_on_logon_in_texts: bool
    long_events_split: bool
    alive_in_log: bool
    heals_feature: bool
    keeps_endpoint: bool
    single_user: bool
    selective: bool


BUILD_2017 = Build(
    "2017",
    "1.1.380.0",
    r"%programfiles%\Azure AD Sync\Bin",
    forgets_unsaved_cookie=True,
    learns_epoch=False,
    decryption_key_event=False,
    force_password_change=False,
    reevaluate_must_change=False,
    hash_in_texts=False,
    change_on_logon_in_texts=False,
    long_events_split=False,
    alive_in_log=False,
    heals_feature=False,
    keeps_endpoint=True,
    single_user=False,
    selective=False,
)
BUILD_CURRENT = Build(
    "current",
    "2.4.131.0",
    r"%programfiles%\Microsoft Azure AD Sync\Bin",
    forgets_unsaved_cookie=False,
    learns_epoch=True,
    decryption_key_event=True,
    force_password_change=True,
    reevaluate_must_change=True,
    hash_in_texts=True,
    change_on_logon_in_texts=True,
    long_events_split=True,
    alive_in_log=True,
    heals_feature=True,
    keeps_endpoint=False,
    single_user=True,
    selective=True,
)


@dataclass(frozen=True)
class Scope:
    """Which users are synchronized.

    ous: only objects below these OUs (``OU=Sales``, relative to the domain's root, or a whole DN); empty: all.
    exclude_ous: objects below these are left out.
    exclude_attribute: objects with any of these attribute values are left out (names and values ignore case).
    included_only: of these objects, the passwords of those alone whom an administrator has marked in the directory (see
        :func:`pwsync.scope.not_included`); the objects of the others are synchronized all the same.
    """

    ous: tuple[str, ...] = ()
    exclude_ous: tuple[str, ...] = ()
    exclude_attribute: Mapping[str, str] = field(default_factory=dict)
    included_only: bool = False


@dataclass
class Connector:
    """The way into one domain: the account that reads it, and the controllers to ask, in order.

    ``forest`` names the forest whose connector this domain belongs to; ``identifier`` is that connector's GUID, the
    same for all domains of a forest.
    """

    domain: str
    forest: str
    identifier: str
    account: str
    password: str = field(repr=False)
    controllers: tuple[str, ...]


@dataclass
class Settings:
    """All settings of an agent. ``account`` and ``password`` are the synchronization account in the tenant.

    deletion_threshold: an export with more deletions than this does not take place (500 in the product); 0: no
    threshold. match_by: the attribute by which accounts of several directories are one person; None: each is its own.
    """

    connectors: tuple[Connector, ...]
    account: str
    password: str = field(repr=False)
    build: Build = BUILD_2017
    scope: Scope = field(default_factory=Scope)
    batch_size: int = BATCH_SIZE_MAX
    staging: bool = False
    preferred_controllers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    object_interval: timedelta = timedelta(minutes=30)
    deletion_threshold: int = 500
    match_by: str | None = None
    machine: str = "SYNC01"
