"""The last words of a process: an error that nobody foresaw is told in the event log before it ends the process.

Errors that the agent knows are dealt with where they arise. Any other one is a fault of the agent or of what it stands
on, and going on after it could do harm: the process ends of it, as it would without this, and its administrator finds
the reason where he looks first.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from pwsync.errors import AgentError

Tell = Callable[[str], None]
"""Takes what is said of an error."""


class LastWords:
    """A block out of which no error is expected. tell: hears of one that comes; the error goes on all the same.

    A process that is killed, in a simulation or by Ctrl-C, says nothing.
    """

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if isinstance(error, Exception):
            self._tell(described(error))


def described(error: Exception) -> str:
    """The error's type, and its text where the agent or the system wrote it; otherwise the place where it arose.

    Any other text may quote a value that an operation failed on, and that could be a secret.
    """
    name = type(error).__name__
    if isinstance(error, (AgentError, OSError)):
        return f"{name}: {error}"
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    if at is None:
        return name
    code = at.tb_frame.f_code
    return f"{name} in {code.co_name}, line {at.tb_lineno} of {Path(code.co_filename).name}"
