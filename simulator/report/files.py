"""Report files appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def why_not_writable(path: Path) -> str | None:
    """Why a report can't be written there, known before a long run starts; None if it can."""
    if path.is_dir():
        return f'"{path}" is a folder; name a file'
    if not path.parent.is_dir():
        return f'the folder "{path.parent}" does not exist; make it first: mkdir -p "{path.parent}"'
    if not os.access(path.parent, os.W_OK):
        return f'the folder "{path.parent}" can\'t be written to'
    return None


def why_no_folder(path: Path) -> str | None:
    """Why no files can be written into that folder, which need not be there yet; None if they can."""
    there = next((each for each in (path, *path.parents) if os.path.lexists(each)), Path("."))
    if not there.is_dir():
        return f'"{there}" is no folder; name another one'
    try:
        with tempfile.TemporaryDirectory(dir=there, prefix=".pwsync-"):  # not even root may in some places
            return None
    except OSError:
        return f'the folder "{there}" can\'t be written to'


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file beside its place and move it there, so that nobody ever reads half of it.

    Raises OSError; the file that stood there before is then untouched.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(handle, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode("utf-8", "backslashreplace"))
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
