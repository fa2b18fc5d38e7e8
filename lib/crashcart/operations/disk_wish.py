"""What one may wish of a disk, and what not: every path is checked against these lists before a host is contacted.

MISSION S0-R6 and S0-R7: never outside the allow-list, never audit, logins, databases or containers.
"""

from __future__ import annotations

import posixpath
import re

import msgspec

from crashcart.facts.disk import Scope
from crashcart.facts.disk_rules import kept_name
from crashcart.values import AbsolutePath, Duration, Percent, Size

SYSTEM_TREES = (
    *("/etc", "/usr", "/boot", "/proc", "/sys", "/dev", "/run", "/root"),
    *("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"),
)
"""Directories that are never relieved: nothing below them may be deleted, and their file system has another name."""

LOG_TREES = "/var/log, /srv/NAME/log, /opt/NAME/log, /var/opt/NAME/log, /home/NAME/log (or logs), and what is below them"
"""Where rotated logs may be deleted, in words."""

TEMP_ROOTS = ("/tmp", "/var/tmp")  # noqa: S108 -- named to be cleaned, not to be written
MOST_PLACES = 32
"""Directories, globs or logs of one wish; each costs a search."""

_LOG_TREE = re.compile(r"(/var/log|/(srv|opt|var/opt|home)/[^/]+/logs?)(/.*)?")
_AWKWARD = re.compile(r"[\s\x00-\x1f\x7f\\#*?\[\]]")
_OWNER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\$?|[0-9]+")


class ReclaimWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file system of ``path`` shall be less full than ``below`` and ``inodes_below`` (per cent, as ``df`` counts).

    ``max_age`` (s) is the age by mtime that rotated logs and temporary files must have, ``incident_window`` (s) the time
    whose journal entries all stay, ``journal_keep`` the bytes of journal that stay anyway. ``tmp_owner`` is the user whose
    temporary files may go; without one none may. ``truncate_open`` names live logs that may be emptied.
    """

    path: AbsolutePath = AbsolutePath("/")
    below: Percent = Percent(80)
    inodes_below: Percent = Percent(80)
    max_age: Duration = Duration(7 * 86400)
    journal_keep: Size = Size(64 * 1024**2)
    incident_window: Duration = Duration(86400)
    log_dirs: tuple[AbsolutePath, ...] = (AbsolutePath("/var/log"),)
    tmp_globs: tuple[str, ...] = tuple(f"{root}/*" for root in TEMP_ROOTS)
    tmp_owner: str = ""
    truncate_open: tuple[AbsolutePath, ...] = ()

    def __post_init__(self) -> None:
        _check_path(self.path)
        for name, threshold in (("below", self.below), ("inodes_below", self.inodes_below)):
            if threshold <= 0:
                raise ValueError(f"{name}: nothing is ever less than 0 % full; say a percentage from 1 to 100")
        for places in (self.log_dirs, self.tmp_globs, self.truncate_open):
            if len(places) > MOST_PLACES:
                raise ValueError(f"{len(places)} places in one wish; at most {MOST_PLACES} are searched")
        for directory in self.log_dirs:
            _check_log(directory, "log_dirs")
            _check_plain(directory)
        for glob in self.tmp_globs:
            split_glob(glob)
        if self.tmp_owner and not _OWNER.fullmatch(self.tmp_owner):
            raise ValueError(f"tmp_owner: {self.tmp_owner!r} is no user name or number")
        for log in self.truncate_open:
            _check_live(log, self.log_dirs)

    @property
    def scope(self) -> Scope:
        """Where to look for what this wish allows to delete."""
        globs = tuple(map(split_glob, self.tmp_globs)) if self.tmp_owner else ()
        return Scope(
            max_age=float(self.max_age),
            log_dirs=tuple(map(str, self.log_dirs)),
            temp_owner=self.tmp_owner,
            temp_globs=globs,
            live_logs=tuple(map(str, self.truncate_open)),
        )


class AssessWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file system of ``path`` is degraded, or down, when bytes or inodes are used above these percentages."""

    path: AbsolutePath = AbsolutePath("/")
    degraded_above: Percent = Percent(80)
    down_above: Percent = Percent(95)

    def __post_init__(self) -> None:
        if self.degraded_above > self.down_above:
            raise ValueError(f"degraded_above ({self.degraded_above:g}) is more than down_above ({self.down_above:g})")


def split_glob(text: str) -> tuple[str, str]:
    """Split a glob of temporary files into its directory and the pattern of names in it. Raises ``ValueError``."""
    root, _, pattern = text.rpartition("/")
    allowed = any(root == place or root.startswith(f"{place}/") for place in TEMP_ROOTS)
    if not allowed or posixpath.normpath(root) != root or _AWKWARD.search(root):
        places = " or ".join(TEMP_ROOTS)
        raise ValueError(f"tmp_globs: {text!r} does not lie in {places}, or in a plain directory there; /tmp/app-* would")
    if pattern in {"", ".", ".."} or re.search(r"[\x00\n\\]", pattern):
        raise ValueError(f"tmp_globs: {text!r} does not end in a pattern of file names, such as {root}/app-*")
    return root, pattern


def may_be_emptied(path: str, wish: ReclaimWish) -> bool:
    """Tell whether ``truncate_open`` would take this path as it is written, and does not name it already."""
    try:
        _check_live(AbsolutePath.parse(path), wish.log_dirs)
    except ValueError:
        return False
    return path not in wish.truncate_open and not _AWKWARD.search(path)


def _check_path(path: str) -> None:
    tree = next((tree for tree in SYSTEM_TREES if path == tree or path.startswith(f"{tree}/")), None)
    if tree:
        raise ValueError(f"path: {path} is never relieved, {tree} is the system's; name a mount point such as / or /var")


def _check_log(path: str, name: str) -> None:
    if not _LOG_TREE.fullmatch(path):
        raise ValueError(f"{name}: {path} is not on the allow-list, which is {LOG_TREES}")
    kept = next(filter(None, map(kept_name, path.split("/")[2:])), "")
    if kept:
        raise ValueError(f"{name}: {path} is evidence or data ({kept}*), never touched; name another of {LOG_TREES}")


def _check_plain(directory: str) -> None:
    # Mounts inside a directory are found by its text in /proc/self/mountinfo, which is written otherwise there.
    if _AWKWARD.search(directory):
        raise ValueError(
            f"log_dirs: {directory!r} has a space or a character of shell patterns; name the directory above it"
        )


def _check_live(log: str, log_dirs: tuple[AbsolutePath, ...]) -> None:
    if not any(log.startswith(f"{directory}/") for directory in log_dirs):
        raise ValueError(f"truncate_open: {log} is not in a directory of log_dirs ({', '.join(log_dirs)})")
    _check_log(log, "truncate_open")
