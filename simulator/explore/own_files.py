"""Files that a search writes and knows again, so that it never writes over what somebody else wrote or edited.

The last line of such a file is a comment with a digest of what stands above it. As long as the digest fits, nobody has
edited the file, and the next search may write over it. Else a scenario goes beside it, under a name with a number.
"""

from __future__ import annotations

import hashlib
import re
from itertools import count
from pathlib import Path

_LAST_LINE = re.compile(rb"# Written by pwsync, ([0-9a-f]{16}); a search may write over it until it is edited\.\n\Z")


def signed(text: str) -> bytes:
    """The content of a file with this text, by which it is known again."""
    body = text.encode("utf-8", "backslashreplace")
    return body + f"# Written by pwsync, {_digest(body)}; a search may write over it until it is edited.\n".encode()


def is_own(content: bytes) -> bool:
    """Whether a search wrote this, and nobody has edited it since."""
    line = _LAST_LINE.search(content)
    return line is not None and line[1].decode() == _digest(content[: line.start()])


def place_for(path: Path, source: Path | None = None) -> Path:
    """Where a scenario may be written: the path; if a file there is somebody's own, the first number that is free.

    source: the file that is copied beside it, which must not write over anything else either.
    """
    if _is_free(path, source):
        return path
    others = (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in count(2))
    return next(other for other in others if _is_free(other, source))


def kept_text(path: Path) -> str:
    """Why a scenario was not written there."""
    return f"{path} is not what pwsync wrote, and stays as it is"


def copy_beside(path: Path, source: Path) -> Path:
    """Where the copy of a file stands that the scenario at ``path`` reads."""
    return path.with_name(f"{path.stem}-{source.name}")


def _is_free(path: Path, source: Path | None) -> bool:
    if not (_is_absent(path) or is_own(_content(path))):
        return False
    if source is None:
        return True
    copy = copy_beside(path, source)
    return _is_absent(copy) or (copy.is_file() and _content(copy) == source.read_bytes())


def _is_absent(path: Path) -> bool:
    return not path.exists() and not path.is_symlink()


def _content(path: Path) -> bytes:
    """What a file says; nothing if it can't be read, so that it is nobody's whom we know."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:16]
