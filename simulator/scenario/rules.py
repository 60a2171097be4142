"""The catalogue: what the product promises, one rule each. Scenarios name the rules that they show; coverage counts.

The rules are those of the product's article on password synchronization of January 2017, in our own words; a few areas,
named in ``OTHER_SOURCES``, come from neighbouring articles.
"""

from __future__ import annotations

from dataclasses import dataclass

BOTH = ("2017", "current")
ARTICLE = "product documentation, January 2017: password synchronization"
OTHER_SOURCES = {
    "heartbeat": "product documentation: troubleshooting password synchronization, health alerts",
    "staging": "product documentation: staging mode",
    "lockout": "product documentation: smart lockout",
    "multi-domain": "product documentation: supported topologies, troubleshooting password synchronization",
}
"""By the first word of the rule's id."""


@dataclass(frozen=True)
class Rule:
    """A rule: its id, what must hold, the profiles it is limited to, and where it is written."""

    id: str
    text: str
    profiles: tuple[str, ...] = BOTH
    source: str = ARTICLE


_ORDER = {
    "order.per-user": "every user's password is synchronized by itself; a user who fails holds back nobody else",
    "order.chronological": "changes reach the tenant in the order in which people made them",
    "order.never-older": "an older on-premises password never replaces a newer one in the tenant",
}
_CYCLE = {
    "cycle.two-minutes": "a password cycle runs every 2 minutes",
    "cycle.fixed": "how often it runs can't be changed; whoever tries is refused",
    "cycle.more-often-than-objects": (
        "passwords go every 2 minutes and objects every 30; "
        "settings of the object schedule leave the password schedule alone"
    ),
}
_INITIAL = {
    "initial.all-in-scope": "the first run synchronizes every user in scope",
    "initial.no-subset": "no subset of the users can be chosen",
    "initial.after-objects": "passwords wait for the first full object cycle, and each for its user's export",
}
_DELTA = {
    "delta.within-minutes": "a password changed on premises works in the cloud after the next cycle",
    "delta.overwrites": "a synchronized password overwrites the one in the cloud",
    "delta.current-state": "of several changes within one interval the last one arrives",
}
_RETRY = {
    "retry.automatic": "an attempt that failed is repeated, without anybody's help, until it succeeds",
    "retry.logged": "an attempt that failed is an error in the event log, with its user or domain and the reason",
    "retry.throttle": "no call is made before Retry-After has passed",
    "retry.restart": "an agent that stops or crashes loses no change and goes on where it was",
}
_SESSION = {
    "session.unaffected": "a synchronized change does not end the session that a user has in the cloud",
    "session.reauthenticate": "when the cloud asks for the password again, it is the new one that counts",
}
_SCOPE = {
    "scope.user-only": "only objects of class user take part; an iNetOrgPerson's password never leaves the directory",
    "scope.filtered": "users outside the scope (OU, attribute, system objects) are not synchronized",
    "scope.disabled": "a disabled account's password is not synchronized; once it is enabled again, it is",
    "scope.temporary": (
        "a password that must be changed is not synchronized (2017); "
        "with the feature it is, with the force flag (current)"
    ),
}
_SECURITY = {
    "security.no-plaintext": "synchronization brings no plaintext to agent, tenant, Domain Services, store or log",
    "security.no-reversible-encryption": "nothing on premises has to be stored with reversible encryption",
    "security.digest-only": "the tenant gets the salted PBKDF2 digest, never the NT hash",
    "security.not-usable-on-premises": "what the tenant stores can't be used to sign in on premises",
    "security.replication-rights": "the agent needs both replication rights on the domain",
}
_COMPLEXITY = {
    "complexity.on-premises-wins": "for synchronized users the on-premises complexity rules hold, not the cloud's",
    "complexity.all-valid": "every password that is valid on premises works in the cloud",
    "complexity.cloud-users": "users created in the cloud are subject to the cloud's password policy",
}
_EXPIRY = {
    "expiry.never": "a synchronized password never expires in the cloud",
    "expiry.on-premises-expired": "a password that has expired on premises still signs in to the cloud",
    "expiry.next-change": "the cloud password is updated by the next on-premises change",
    "expiry.cloud-users": "passwords of the cloud expire after the tenant's period",
}
_OVERRIDE = {
    "override.admin-reset": "an administrator's reset in the cloud replaces the synchronized password",
    "override.cloud-policies": "a reset is under all policies of the cloud: complexity and expiry",
    "override.holds": "as long as nothing changes on premises the reset stays",
    "override.next-change": "the next change on premises overrides the reset",
}
_ENABLE = {
    "enable.express": "express settings turn password synchronization on",
    "enable.custom": "with custom settings it is on only if somebody chose it",
    "enable.needs-object-sync": "it needs directory synchronization to be set up",
    "enable.off-keeps": "after it is switched off the last synchronized password stays valid in the cloud",
}
_DOMAIN_SERVICES = {
    "domain-services.all-methods": (
        "with Domain Services a user signs in there by NTLM, Kerberos and LDAP bind with the on-premises password"
    ),
    "domain-services.full-sync": "after it is switched on a full password synchronization is needed",
    "domain-services.cloud-users": "users of the cloud alone must change their password first",
}
_FEDERATION = {
    "federation.backup": "with AD FS down, users sign in with the synchronized password once their domain is managed",
    "federation.primary": "as long as a domain is federated, sign-in goes to AD FS",
}
_FIPS = {
    "fips.blocks-md5": "a server locked to FIPS algorithms stops password synchronization, with an error",
    "fips.exemption": '`enforceFIPSPolicy enabled="false"` in the service\'s configuration makes it work again',
}
_OPERATION = {
    "diagnose.finds": (
        "the diagnosis names the cause: feature off, staging, no heartbeat, domain unreachable, credentials, rights, "
        "object state"
    ),
    "heartbeat.idle": "an idle agent pings every 30 minutes; 120 minutes without a sign of life raise an alert",
    "staging.no-export": "a staging server sends nothing; when it leaves staging it catches up in order",
    "lockout.smart": "ten different wrong passwords lock a cloud sign-in; one repeated does not",
    "multi-domain.isolated": "a domain that fails does not stop another",
}
_LIMITED = {"initial.no-subset": ("2017",)}


def _rule(name: str, text: str) -> Rule:
    return Rule(name, text, _LIMITED.get(name, BOTH), OTHER_SOURCES.get(name.partition(".")[0], ARTICLE))


RULES: dict[str, Rule] = {
    name: _rule(name, text)
    for texts in (
        _ORDER,
        _CYCLE,
        _INITIAL,
        _DELTA,
        _RETRY,
        _SESSION,
        _SCOPE,
        _SECURITY,
        _COMPLEXITY,
        _EXPIRY,
        _OVERRIDE,
        _ENABLE,
        _DOMAIN_SERVICES,
        _FEDERATION,
        _FIPS,
        _OPERATION,
    )
    for name, text in texts.items()
}
"""Every rule by its id, in the catalogue's order."""

INVARIANTS: dict[str, str] = {
    "converges": "once nothing holds back any more, every due user's tenant password becomes the directory's",
    "never-older": "a user's synchronized passwords follow the order of the directory's",
    "no-write-without-cause": "a credential is sent only for a change not known to be applied, or an ordered full run",
    "order-within-cycle": "credentials leave in the order of change time",
    "two-minutes": "password cycles start on the 2-minute grid of the agent's run and never overlap",
    "never-expires": "a synchronized password never expires, unless a feature of the profile says otherwise",
    "users-only": "no credential of an iNetOrgPerson or of a user out of scope is ever sent",
    "failures-logged": "every failed attempt has its event",
    "retry-after": "no call to the tenant before Retry-After has passed, restarts included",
    "no-secret-leaks": "no password and no NT hash in trace, store, logs, reports or the agent's calls",
    "digest-not-usable": "what the tenant stores does not log on to the directory",
    "sessions": "a synchronized change ends no session",
    "nothing-lost": "every change is applied, pending, superseded, or left out by a rule",
}
"""What is checked after every instant of every run, by id; ``except`` switches one off."""
