"""Runs a command as systemd would by ProtectSystem=strict and ReadWritePaths=: `confined.py UID PATH… -- COMMAND`.

In a mount namespace of its own everything is read-only but the named paths; then all privileges go.
"""

import ctypes
import os
import subprocess
import sys

MOUNT_SETATTR = 442
AT_FDCWD, AT_RECURSIVE = -100, 0x8000
READ_ONLY = 1
CLONE_NEWNS = 0x20000

_libc = ctypes.CDLL(None, use_errno=True)


class Attributes(ctypes.Structure):
    """`struct mount_attr` of mount_setattr(2)."""

    _fields_ = [(name, ctypes.c_uint64) for name in ("to_set", "to_clear", "propagation", "userns_fd")]


def change(path: str, *, flags: int = 0, to_set: int = 0, to_clear: int = 0) -> None:
    """Changes the attributes of a mount."""
    wanted = Attributes(to_set=to_set, to_clear=to_clear)
    size = ctypes.c_size_t(ctypes.sizeof(wanted))
    done = _libc.syscall(MOUNT_SETATTR, AT_FDCWD, path.encode(), flags, ctypes.byref(wanted), size)
    if done != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)


def main() -> None:
    """Confines this process and becomes the command."""
    split = sys.argv.index("--")
    user, paths, command = sys.argv[1], sys.argv[2:split], sys.argv[split + 1 :]
    if _libc.unshare(CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True, timeout=10)
    for path in paths:
        subprocess.run(["mount", "--bind", path, path], check=True, timeout=10)
    change("/", flags=AT_RECURSIVE, to_set=READ_ONLY)
    for path in paths:
        change(path, to_clear=READ_ONLY)
    drop = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--no-new-privs", "--bounding-set=-all"]
    os.execvp(drop[0], [*drop, "--inh-caps=-all", *command])  # noqa: S606 - this process becomes it


if __name__ == "__main__":
    main()
