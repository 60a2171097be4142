"""Report files appear whole or not at all; a device or a pipe takes the report and stays what it is."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path
from typing import BinaryIO

LINKS_MAX = 40
"""So many symbolic links lead from one to the next at most, as for the kernel."""


def why_not_writable(path: Path) -> str | None:
    """Why a report can't be written there, known before a long run starts; None if it can."""
    if path.is_dir():
        return f'"{path}" is a folder; name a file'
    try:
        if _is_written_through(path):
            return None if _descriptor(path) is not None or os.access(path, os.W_OK) else "it can't be written to"
    except OSError as error:
        return f"{error.strerror}"
    folder = Path(os.path.realpath(path)).parent if path.is_symlink() else path.parent
    if not folder.is_dir():
        return f'the folder "{folder}" does not exist; make it first: mkdir -p "{folder}"'
    if not os.access(folder, os.W_OK):
        return f'the folder "{folder}" can\'t be written to'
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

    Symbolic links stay and are followed. What is no file that could be moved there (a device, a pipe, a descriptor of
    this process such as ``/dev/stdout``) is written to as it is.

    Raises OSError; the file that stood there before is then untouched.
    """
    data = content if isinstance(content, bytes) else content.encode("utf-8", "backslashreplace")
    if device := opened_through(path):
        with device:
            device.write(data)
        return
    target = Path(os.path.realpath(path))
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with open(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def opened_through(path: Path) -> BinaryIO | None:
    """What must be written to as it is, opened; None where a file stands or nothing. Raises OSError."""
    if not _is_written_through(path):
        return None
    descriptor = _descriptor(path)
    return open(path if descriptor is None else os.dup(descriptor), "wb")


def _is_written_through(path: Path) -> bool:
    """Whether something stands there that another file must not take the place of. Raises OSError."""
    if _descriptor(path) is not None:
        return True
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def _descriptor(path: Path) -> int | None:
    """The number of the open file of this process that a path such as ``/dev/stdout`` or ``/dev/fd/3`` stands for.

    It may be a file like any other. Opened once more by its path it would be written from its beginning again.
    """
    if not os.path.isdir("/dev/fd"):
        return None
    ours = os.path.realpath("/dev/fd")
    for _ in range(LINKS_MAX):
        if path.name.isdecimal() and os.path.realpath(path.parent) == ours:
            return int(path.name)
        if not path.is_symlink():
            return None
        path = path.parent / path.readlink()
    return None


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
