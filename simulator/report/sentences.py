"""What each action, expectation and fault says in plain words.

A sentence is a template over the arguments of its model: ``{password}`` is the argument's value, ``{enabled?on|off}``
one of two wordings for true and false. A part in ``[square brackets]`` is left out if the scenario does not set what it
names; ``[{domain}|the domain]`` has a wording for that case. What a sentence does not mention, the story adds in
parentheses, so that nothing that a file says is lost.
"""

from __future__ import annotations

ACTIONS: dict[str, str] = {
    "ad.create-user": "{user} is created in the directory[ with the password {password}].",
    "ad.change-password": "{user} changes the on-premises password to {password}"
    "[, giving {old} as the old one][, on {on}].",
    "ad.reset-password": "An administrator resets {user}'s on-premises password to {password}[, on {on}]"
    "[{must_change?, to be changed at the next logon|}].",
    "ad.require-change": "An administrator {required?requires|no longer requires} {user} to change the password"
    " at the next logon.",
    "ad.set-user": "An administrator changes {user} in the directory.",
    "ad.unlock": "An administrator unlocks {user} in the directory.",
    "ad.delete-user": "{user} is deleted from the directory.",
    "ad.move-user": "{user} is moved to {ou}.",
    "ad.logon": "{user} logs on on premises with {password}[, at {on}].",
    "ad.set-policy": "The password policy of [{domain}|the domain] changes.",
    "ad.grant": "The connector account is granted {right}[ on {domain}].",
    "ad.revoke": "The connector account loses {right}[ on {domain}].",
    "ad.set-controller": "The domain controller {controller} is now {state}.",
    "ad.set-connector-password": "The connector account's password is changed"
    "[ in {domain}][, {known_to_agent?and the agent is told|and the agent is not told}].",
    "agent.install": "The agent is installed with {setup} settings"
    "[, {password_sync?with|without} password synchronization]"
    "[, {object_sync?with|without} directory synchronization].",
    "agent.enable-password-sync": "Password synchronization is enabled[ for {domain}].",
    "agent.disable-password-sync": "Password synchronization is disabled[ for {domain}].",
    "agent.sync-user": "{user}'s password is to be synchronized again.",
    "agent.full-password-sync": "A full password synchronization is ordered[ for {domain}].",
    "agent.run-object-cycle": "An administrator starts an object cycle of type {type}.",
    "agent.stop": "The agent is stopped.",
    "agent.start": "The agent is started.",
    "agent.restart": "The agent is restarted.",
    "agent.crash": "The agent's process dies[ and is started again after {restart_after}].",
    "agent.configure": "The agent's settings change.",
    "agent.set-password-interval": "An administrator tries to have passwords synchronized every {every}.",
    "agent.select-users": "An administrator wants the passwords of {users} alone synchronized.",
    "server.set-fips": "The server's FIPS policy is switched {enabled?on|off}.",
    "server.edit-service-config": "The service's configuration file is edited"
    "[: enforceFIPSPolicy is {enforce_fips_policy}][: its whole text is {xml}].",
    "server.reboot": "The server is rebooted.",
    "cloud.create-user": "{user} is created in the cloud[ with the password {password}].",
    "cloud.reset-password": "An administrator resets {user}'s cloud password to {password}"
    "[{must_change?, to be changed at the next sign-in|}].",
    "cloud.change-password": "{user} changes the cloud password[ from {old}] to {password}.",
    "cloud.set-user": "An administrator changes {user} in the cloud.",
    "cloud.delete-user": "{user} is deleted from the cloud.",
    "cloud.set-policy": "The tenant's password policy changes.",
    "cloud.set-feature": "A feature of the tenant is switched.",
    "cloud.sign-in": "{user} signs in to the cloud with {password}[ (session {as_})].",
    "cloud.refresh-session": "The session [{as_}|in use] is refreshed.",
    "cloud.convert-domain": "{domain} is converted to {to}.",
    "cloud.set-domain-services": "Domain Services is switched {state}.",
    "adfs.set-farm": "The AD FS farm is now {state}.",
    "network.set-link": "The link to {link} is now {state}.",
}

EXPECTATIONS: dict[str, str] = {
    "cloud.sign-in": "signing in to the cloud as {user} with {password} gives: {result}[, by way of {via}]",
    "cloud.session": "the session [{as_}|in use] is so",
    "cloud.user": "the cloud's account of {user} is so",
    "cloud.history": "the passwords that the cloud has held for {user} are, in order: {is_}",
    "cloud.writes": "passwords were written in the cloud {count}[ for {user}][ by {by}][ since {since}]",
    "cloud.received": "the tenant accepted synchronized passwords in this order: {is_}[, since {since}]",
    "cloud.calls": "calls[ of {operation}] reached the wire {count}[ since {since}]",
    "ad.logon": "logging on on premises as {user} with {password} gives: {result}[, at {on}]",
    "domain-services.logon": "logging on to Domain Services as {user} with {password}[ by {method}] gives: {result}",
    "event-log": "the event log has[ event {id}][ of level {level}][ about {user}][ for {domain}]"
    "[ with the text {contains}] {count}[ since {since}]",
    "agent.pending": "passwords that still have to be sent: {is_}",
    "agent.status": "the agent's status for {user} is {is_}",
    "agent.cycles": "[{kind} ]cycles ran {count}[ since {since}]",
    "agent.diagnosis": "the diagnosis[ of {user}] finds: {finds}",
    "agent.alert": "alerts shown by the tenant: {is_}",
    "refused": "this is refused: {reason}",
}

FAULT_CHOICES: tuple[tuple[str, str], ...] = (
    ("call", "call {} of it only"),
    ("times", "the first {} times"),
    ("between", "between {}"),
    ("user", "for {} only"),
    ("domain", "in {} only"),
    ("controller", "at {} only"),
    ("endpoint", "at the {} endpoint only"),
)
"""What narrows a fault, in the order in which it is told."""

FAULT_EFFECTS: tuple[tuple[str, str], ...] = (
    ("answer", "is answered with HTTP {}"),
    ("fault", "is answered with the fault {}"),
    ("result", "is answered with item result {}"),
    ("fail", "fails with {}"),
    ("lose", "loses its {}"),
    ("delay", "takes {}"),
    ("duplicate", "is delivered twice"),
    ("corrupt", "gets a garbled answer"),
    ("crash", "crashes the agent {} it"),
    ("retry_after", "with Retry-After {}"),
)
"""What a fault does, in the order in which it is told."""

GIVEN: dict[str, str] = {
    "sync": "Synchronization",
    "users": "Users on premises",
    "cloud_users": "Users of the cloud alone",
    "population": "Invented people beside them",
    "directory": "Entries from an LDIF file",
    "forest": "The forest",
    "forests": "The forests",
    "scope": "What is synchronized",
    "agent": "The agent",
    "cloud": "The tenant",
    "network": "The network",
}

SYNC: dict[str, str] = {
    "settled": "Everything below is synchronized and quiet; the next password cycle runs at +2m,"
    " the next object cycle at +30m.",
    "installed": "The agent was just installed with express settings; its first cycles run at +0s.",
    "none": "There is no agent yet.",
}
