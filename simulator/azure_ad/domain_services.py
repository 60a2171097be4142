"""The tenant's side of Domain Services: what it has for the managed domain, and what it tells it.

Source: the product's documentation of password hash synchronization with Domain Services. Secrets of a synchronized
user come from the agent, sealed; those of a user whose password is set in the cloud are made there, and only while
Domain Services is on. Deleting the managed domain loses them all.

Unconfirmed: that a password set in the cloud makes secrets for synchronized users, too, and already when a user is
created.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from pwsync.credential import nt_hash
from pwsync.errors import SealError
from pwsync.tenant.messages import CredentialItem
from simulator.active_directory.supplemental import kerberos_keys
from simulator.azure_ad.users import CloudUser, UserIndex
from simulator.domain_services.envelope import check
from simulator.domain_services.state import ManagedDomain, Picture, Secrets


class DomainServices:
    """Domain Services of one tenant, from being switched on to being switched off. ``domain`` is the managed domain.

    name: the managed domain's DNS name. users: the tenant's.
    """

    def __init__(self, name: str, clock: Callable[[], datetime], users: UserIndex) -> None:
        self.domain = ManagedDomain(name, clock)
        self._users = users
        self._secrets: dict[str, Secrets] = {}
        self.tell(*users)

    def tell(self, *users: CloudUser) -> None:
        """Something about these users may have changed. Accounts of services are none of the domain's."""
        self.domain.tell(self._picture(user) for user in users if user.role is None)

    def is_readable(self, item: CredentialItem) -> bool:
        """Whether an item's sealed secrets have the shape of such, for the right certificate. None are opened here."""
        try:
            for text in (item.legacy, item.supplemental):
                if text is not None:
                    check(text)
        except SealError:
            return False
        return True

    def keep_sealed(self, item: CredentialItem) -> None:
        """The tenant has taken a password from an agent. An item without secrets leaves those that are there."""
        if item.legacy is None and item.supplemental is None:
            return
        anchor, cloud_anchor = item.source_anchor or "", item.cloud_anchor or ""
        user = self._users.by_anchor(anchor) if anchor else self._users.by_id(cloud_anchor.removeprefix("User_"))
        if user is not None:
            self._secrets[user.id] = Secrets(item.legacy, item.supplemental)
            self.tell(user)

    def keep_typed(self, user: CloudUser, password: str) -> None:
        """A password was set in the cloud: its hash and its keys are made from what was typed."""
        salt = self.domain.realm + name_of(user)
        self._secrets[user.id] = Secrets(nt_hash=nt_hash(password), keys=kerberos_keys(password, salt), salt=salt)
        self.tell(user)

    def _picture(self, user: CloudUser) -> Picture:
        gone = user.deleted_at is not None
        return Picture(user.id, name_of(user), user.upn, user.enabled, self._secrets.get(user.id), gone)


def name_of(user: CloudUser) -> str:
    """A user's sAMAccountName in the managed domain: the one on premises, else the local part of the sign-in name.

    The product takes the mail nickname, which for most users is the same (product documentation).
    """
    return user.detail("onPremisesSamAccountName") or user.upn.partition("@")[0]
