"""The catalogue of incidents: sixty cases that people met with the product, and which of them can't be a scenario.

Collected from the product's documentation, its release notes, support articles and public issue threads; the words are
our own. A scenario file belongs to an incident by the number that its name begins with (``31-not-activated...``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

INCIDENTS: Final = {
    1: "a new password is refused right after it was set",
    2: "an administrator's reset in the cloud is lost again",
    3: "a reset in the cloud stays for weeks",
    4: "the cloud refuses a password that the directory takes",
    5: "a temporary password does not work in the cloud",
    6: "a temporary password with the feature that synchronizes it",
    7: "a user made with a temporary password before that feature was on",
    8: "the must-change box is cleared without a new password",
    9: "a script sets the password first and the must-change box later",
    10: "a password that expired in the directory opens the cloud",
    11: "an account that expired in the directory opens the cloud",
    12: "who was disabled in the cloud alone is enabled again",
    13: "a password changed while the account was disabled",
    14: "a user moved into a synchronized OU has no password",
    15: "a user moved out of the synchronized OUs disappears",
    16: "an inetOrgPerson is in the cloud and can't sign in",
    17: "611 with 8453 for everybody: a replication right is missing",
    18: "611 with 8453 for a child domain alone",
    19: "611 with 1722: the controller can't be reached",
    20: "only some of the controllers can be reached",
    21: "the preferred controller is offline",
    22: "611 with 8456: outbound replication is switched off",
    23: "611 with 8333: the object is not on the controller that was asked",
    24: "611 with 8593: a domain was renamed",
    25: "611 with 8439: a controller that is too old",
    26: "the same changes are sent in every cycle",
    27: "611 with a time that Windows does not have",
    28: "6900: the password manager does not start with the configuration partition",
    29: "the connector account's password was changed",
    30: "the synchronization account is refused",
    31: "password synchronization is not activated for the company (code 90)",
    32: "a staging server's removal stopped the active server",
    33: "no passwords at all: the server is staging",
    34: "users wait for hours after a failover",
    35: "a FIPS policy was put on the server",
    36: "the heartbeat was skipped for 120 minutes",
    37: "the alert stands though everything works",
    38: "switched off, and the old password still opens the cloud",
    39: "a new user can't sign in for half an hour",
    40: "a user with a duplicate address has no password",
    41: "the user of a linked mailbox is missing",
    42: "two enabled accounts are one person",
    43: "controllers are apart, and an older password is feared to win",
    44: "passwords copied by a migration tool stay behind",
    45: "users of the managed domain fail though the cloud takes them",
    46: "everybody is signed out after a full synchronization",
    47: "a whole tenant has to change its passwords on the first day",
    48: "service accounts expire after a full synchronization",
    49: "passwords may expire in the cloud, and nobody is asked",
    50: "a smart card is required again, and an old password opens the cloud",
    51: "the servers take a little time to catch up (pass-through authentication)",
    52: "the federation servers are down and nothing takes over",
    53: "a user outside selective synchronization can't use writeback",
    54: "a password with a leading space",
    55: "somebody guesses at a user's password, and the right one is refused",
    56: "a batch is too long for one event",
    57: "password synchronization switched itself on",
    58: "passwords that users change do not arrive, those that are set do",
    59: "the regional endpoint is dead",
    60: "a user who is filtered out, and whose password is synchronized all the same",
}
"""Symptoms by number."""

IMPOSSIBLE: Final = {
    51: "there is neither pass-through authentication nor password writeback in this simulation",
    53: "there is no password writeback in this simulation",
}
"""Why an incident can't be a scenario."""

_NUMBER: Final = re.compile(r"(\d\d)-")


def told_by(files: Iterable[Path]) -> dict[int, list[str]]:
    """The names of the scenarios that tell each incident; an empty list for one that none tells.

    A file belongs to an incident only in a folder called ``incident``.
    """
    found: dict[int, list[str]] = {number: [] for number in INCIDENTS}
    for file in sorted(files):
        match = _NUMBER.match(file.name)
        if match and file.parent.name == "incident" and file.suffix == ".yaml" and int(match[1]) in found:
            found[int(match[1])].append(file.stem)
    return found
