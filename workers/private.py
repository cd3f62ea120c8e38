"""Folders and files that only their owner can read, whatever the umask of the process that makes them."""

from __future__ import annotations

import contextlib
import logging
import os
import stat
from pathlib import Path

logger = logging.getLogger(__name__)

FOLDER, FILE = 0o700, 0o600
UMASK = 0o077  # for processes that write by libraries which ask for no mode: Redis, beat's and Flower's files


def make_folder(path: Path) -> None:
    """Make a folder, and those above it that are missing; one that is there stays as it is."""
    try:
        path.mkdir(mode=FOLDER, exist_ok=True)
    except FileNotFoundError:
        make_folder(path.parent)
        path.mkdir(mode=FOLDER, exist_ok=True)


def opener(path: str, flags: int) -> int:
    """For the `opener` of `open`: a file that is made has the mode 0600."""
    return os.open(path, flags, FILE)


def close_if_open(folder: Path) -> None:
    """Close a folder that others than its owner may look into; costs nothing where they may not or there is none."""
    if folder.is_dir() and stat.S_IMODE(folder.stat().st_mode) & ~FOLDER:
        close(folder)


def close(folder: Path) -> None:
    """Leave a folder and all in it to their owner alone, and say so where they were not. Follows no link.

    The folder itself comes last: once it is closed, so is what is in it. What another user owns is named in the log.
    """
    num_closed = 0
    for path, folders, files in os.walk(folder, topdown=False):
        for name in files:
            num_closed += narrow(os.path.join(path, name), FILE)  # noqa: PTH118
        for name in folders:
            num_closed += narrow(os.path.join(path, name), FOLDER)  # noqa: PTH118
    num_closed += narrow(str(folder), FOLDER)
    if num_closed:
        logger.warning("%s: others could read %d files or folders; now only their owner can", folder, num_closed)


def narrow(path: str, most: int) -> bool:
    """Take away what a mode has beyond `most`; whether there was something. What is gone has nothing."""
    with contextlib.suppress(FileNotFoundError):
        mode = os.lstat(path).st_mode
        if not stat.S_ISLNK(mode) and stat.S_IMODE(mode) & ~most:
            return change(path, stat.S_IMODE(mode) & most)
    return False


def change(path: str, mode: int) -> bool:
    try:
        os.chmod(path, mode)  # noqa: PTH101
    except OSError as exc:
        logger.warning("others may be able to read %s, which cannot be changed: %s", path, exc.strerror)
        return False
    return True
