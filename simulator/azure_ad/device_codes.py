"""The device authorization grant: a code for the device, another for the person in front of a browser.

Source: RFC 8628 and the product's page on it: a code lives for 15 minutes, and a device asks every 5 seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from simulator.azure_ad.users import CloudUser
from simulator.random import Randomness

LIFE = timedelta(seconds=900)
INTERVAL = timedelta(seconds=5)
INTERVAL_MAX = timedelta(seconds=60)
"""However impatient a device is, it may come back after this (unconfirmed)."""

# Letters and digits that nobody takes for another, as in the product's codes.
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_LENGTH = 9
_KEPT = 1000


@dataclass(slots=True, eq=False)
class DeviceCode:
    """One sign-in of a device.

    state: pending, approved, declined or used. scope: what the device asked for. user: who approved. asked_at: when the
    device last asked; it has to wait ``interval`` before it asks again.
    """

    device_code: str = field(repr=False)
    user_code: str
    client_id: str
    scope: str
    expires: datetime
    interval: timedelta = INTERVAL
    state: str = "pending"
    user: CloudUser | None = None
    asked_at: datetime | None = None


class DeviceCodes:
    """The device sign-ins that a tenant has under way."""

    def __init__(self, clock: Callable[[], datetime], randomness: Randomness) -> None:
        self._clock = clock
        self._randomness = randomness
        self._by_device: dict[str, DeviceCode] = {}

    def begin(self, client_id: str, scope: str) -> DeviceCode:
        """A new pair of codes. The oldest are forgotten when a thousand are under way."""
        random = self._randomness.child("azure_ad/devices")
        while True:
            user_code = "".join(random.choice(_LETTERS) for _ in range(_LENGTH))
            if self.by_user_code(user_code) is None:
                break
        code = DeviceCode(random.randbytes(32).hex(), user_code, client_id, scope, self._clock() + LIFE)
        while len(self._by_device) >= _KEPT:
            del self._by_device[next(iter(self._by_device))]
        self._by_device[code.device_code] = code
        return code

    def by_device_code(self, device_code: str) -> DeviceCode | None:
        """The sign-in that a device's code belongs to, whatever its state."""
        return self._by_device.get(device_code)

    def by_user_code(self, user_code: str) -> DeviceCode | None:
        """The pending sign-in of the code that a person has typed: without case, blanks or dashes."""
        typed = "".join(user_code.split()).replace("-", "").upper()
        now = self._clock()
        for code in self._by_device.values():
            if code.user_code == typed and code.state == "pending" and now < code.expires:
                return code
        return None

    def approve(self, code: DeviceCode, user: CloudUser) -> None:
        """This user has signed in on the device's behalf."""
        code.state, code.user = "approved", user

    def decline(self, code: DeviceCode) -> None:
        """The person does not want the device to be signed in."""
        code.state = "declined"

    def ask(self, code: DeviceCode) -> str:
        """What the device hears: ``ok``, once; ``pending``, ``slow-down``, ``declined``, ``expired`` or ``used``.

        A device that comes too early has to wait 5 seconds more from then on (RFC 8628 3.5). One whose person has
        approved meanwhile is not sent away for that.
        """
        now = self._clock()
        if code.state in ("used", "declined"):
            return code.state
        if now >= code.expires:
            return "expired"
        if code.state == "approved":
            code.state = "used"
            return "ok"
        early = code.asked_at is not None and now - code.asked_at < code.interval
        code.asked_at = now
        if early:
            code.interval = min(code.interval + INTERVAL, INTERVAL_MAX)
        return "slow-down" if early else "pending"
