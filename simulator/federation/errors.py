"""What a farm refuses, as SOAP 1.2 faults in AD FS's words.

The texts are those that administrators report (ID3242, ID3082, MSIS3127); which code stands beside a text is confirmed
for wrong credentials alone.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from simulator.federation.names import SECURITY, Dialect

CLOCK_SKEW = timedelta(minutes=5)
"""How far the clock of a client may be off (the default of the servers' framework)."""


class NotSoap(Exception):
    """A body that is no SOAP 1.2 envelope, or one that nobody should parse; it is answered without a fault."""


class FarmFault(Exception):
    """A request that the farm refuses.

    namespace, code: of the fault's subcode. text: for people. result: what the directory said of the person, in the
    words of :class:`~simulator.federation.state.FarmLogon`, which the wire does not tell; empty if it was not asked.
    """

    def __init__(self, namespace: str, code: str, text: str, result: str = "") -> None:
        self.namespace = namespace
        self.code = code
        self.text = text
        self.result = result
        super().__init__(f"{code}: {text}")


def not_let_in(dialect: Dialect, result: str) -> FarmFault:
    """The same for every reason: wrong password, unknown, expired, must change, disabled, locked."""
    text = "ID3242: The security token could not be authenticated or authorized."
    return FarmFault(dialect.namespace, "FailedAuthentication", text, result)


def unknown_audience(dialect: Dialect) -> FarmFault:
    """The request is for a relying party that the farm does not have."""
    return FarmFault(dialect.namespace, "InvalidScope", "ID3082: The request scope is not valid or is unsupported.")


def failed_request(dialect: Dialect) -> FarmFault:
    """The request can't be understood."""
    return FarmFault(dialect.namespace, "RequestFailed", "MSIS3127: The specified request failed.")


def insecure() -> FarmFault:
    """The security header is missing, has no name and password, or is of another time."""
    return FarmFault(SECURITY, "InvalidSecurity", "An error occurred when verifying security for the message.")


def off_by(now: datetime, created: datetime, expires: datetime) -> bool:
    """Whether a message with these timestamps is not to be taken now."""
    return not created - CLOCK_SKEW <= now < expires + CLOCK_SKEW
