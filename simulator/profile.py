"""Profiles: one named switch per difference between the product of January 2017 and today's.

The list follows the product's documentation then and now; every switch says which behaviour it stands for.
"""

from __future__ import annotations

from dataclasses import dataclass

from pwsync.settings import BUILD_2017, BUILD_CURRENT, Build


@dataclass(frozen=True)
class Profile:
    """Behaviour of tenant and agent in one era.

    build: the agent's switches.
    length_max: longest password that the cloud takes for its own passwords (16 in 2017, 256 today).
    blank_allowed: blanks and ``< >`` may stand in cloud passwords (today).
    banned_list: cloud passwords are checked against a list of banned ones (today).
    sync_revokes_sessions: a synchronized change revokes password-based refresh tokens (today; access tokens live on).
    policy_feature: the tenant may let synchronized passwords expire (``cloud-policy-for-synced-users``; today).
    force_change_feature: must-change passwords may be synchronized with the force flag (today).
    exemption_needs_reboot: the service's configuration file counts as it was when the server started (today).
    resilient: what belongs to another already is quarantined, and the object made without it (a tenant of today; one of
        2017 that is older than August 2016 refuses the object, until the feature is switched on).
    two_codes: the older token endpoint tells a code of its own before that of refused credentials (2017).
    """

    name: str
    build: Build
    length_max: int
    blank_allowed: bool
    banned_list: bool
    sync_revokes_sessions: bool
    policy_feature: bool
    force_change_feature: bool
    exemption_needs_reboot: bool
    resilient: bool
    two_codes: bool


PROFILE_2017 = Profile("2017", BUILD_2017, 16, False, False, False, False, False, False, False, True)
PROFILE_CURRENT = Profile("current", BUILD_CURRENT, 256, True, True, True, True, True, True, True, False)
PROFILES = {profile.name: profile for profile in (PROFILE_2017, PROFILE_CURRENT)}
