"""Opens a file below a directory and nowhere else, whatever the names below it are changed to meanwhile.

Symbolic links are followed as long as they stay below the directory; an absolute one leads outside. The kernel does it
in one call (`openat2`, Linux 5.6); where it cannot, the same is done name by name, each opened without following links.
"""

import ctypes
import errno
import functools
import os
from collections.abc import Callable
from pathlib import Path

READING = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
"""A pipe without a writer must not hold anybody up."""

OpenBeneath = Callable[[int, str], int]
"""Takes the descriptor of a directory and a path below it; returns a descriptor for reading. Raises OSError."""

_OPENAT2 = 437
"""The number of the system call, the same on all architectures that Debian supports but Alpha."""
_NO_MAGIC_LINKS, _BENEATH = 0x02, 0x08
_MOST_LINKS = 40
_TRIES = 16
_AS_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def open_directory(path: Path) -> int:
    """Returns a descriptor of a directory, from which files below it are opened. Raises OSError."""
    return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def open_beneath(directory: int, path: str) -> int:
    """Opens a file for reading, in the best way that this host has. Raises OSError; EXDEV: it leads outside."""
    return _best_way()(directory, path)


def open_by_kernel(directory: int, path: str) -> int:
    """Opens a file with `openat2`. Raises OSError."""
    how = _OpenHow(flags=READING, mode=0, resolve=_BENEATH | _NO_MAGIC_LINKS)
    for _ in range(_TRIES):
        # Without a lock, the kernel gives up when names were changed meanwhile, and asks to be asked again.
        ctypes.set_errno(0)
        descriptor = _system_call()(_OPENAT2, directory, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how))
        if descriptor >= 0:
            return int(descriptor)
        if ctypes.get_errno() not in {errno.EAGAIN, errno.EINTR}:
            break
    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)


def open_step_by_step(directory: int, path: str) -> int:
    """Opens a file name by name. Raises OSError."""
    pending = _names(path)
    above = [os.dup(directory)]
    links = 0
    try:
        while pending:
            name = pending.pop()
            if name == "..":
                if len(above) == 1:
                    raise _outside(path)
                os.close(above.pop())
                continue
            try:
                opened = os.open(name, _AS_DIRECTORY if pending else READING | os.O_NOFOLLOW, dir_fd=above[-1])
            except OSError as error:
                if error.errno not in {errno.ELOOP, errno.ENOTDIR}:
                    raise
                links += 1
                target = _link(name, above[-1], error)
                if target.startswith("/"):
                    raise _outside(path) from None
                if links > _MOST_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path) from None
                pending += _names(target)
                continue
            if not pending:
                return opened
            above.append(opened)
        # As the kernel does it: whoever wants a file sees that this is none.
        return os.open(".", READING, dir_fd=above[-1])
    finally:
        for each in above:
            os.close(each)


def _names(path: str) -> list[str]:
    """Returns the names in a path, the last one first."""
    return [name for name in reversed(path.split("/")) if name not in {"", "."}]


def _link(name: str, directory: int, error: OSError) -> str:
    """Returns where a name leads, or raises the error if it is no link."""
    try:
        return os.readlink(name, dir_fd=directory)
    except OSError:
        raise error from None


def _outside(path: str) -> OSError:
    return OSError(errno.EXDEV, "leads outside", path)


@functools.cache
def _best_way() -> OpenBeneath:
    """Returns the kernel's way where a trial of it works: an old kernel or a filter of system calls may forbid it."""
    directory = open_directory(Path("/"))
    try:
        os.close(open_by_kernel(directory, "."))
    except OSError:
        return open_step_by_step
    finally:
        os.close(directory)
    return open_by_kernel


@functools.cache
def _system_call() -> Callable[..., int]:
    call = ctypes.CDLL(None, use_errno=True).syscall
    call.restype = ctypes.c_long
    call.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t]
    return call
