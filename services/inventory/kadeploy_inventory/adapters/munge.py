"""Reads MUNGE credentials by the program `unmunge`, which asks the MUNGE daemon of this host.

The daemon proves that a host with the same key made the credential, for which user, when, and that it is shown for the
first time. Exit statuses are those of libmunge (munge.h, munge_err_t).
"""

import pwd
import re
import subprocess
from pathlib import Path

from kadeploy_inventory.app.ports import Credential
from kadeploy_inventory.domain.errors import CredentialRefused, MungeUnreachable

PROGRAM = "unmunge"
SECONDS = 10.0
LARGEST_OUTPUT = 16384
KEYS = "ENCODE_HOST,ENCODE_TIME,DECODE_TIME,TTL,UID"
# 1: unspecified, 6: no daemon at the socket, 7: the connection to it timed out.
AWAY = frozenset({1, 6, 7})
EXPIRED, REWOUND, REPLAYED = 15, 16, 17
_LINE = re.compile(r"([A-Z_]+): +(.*)")
_NUMBER = re.compile(r"(\d+)\)?$")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


class MungeCredentials:
    """The MUNGE daemon of this host."""

    def __init__(self, socket: Path | None = None) -> None:
        """Asks nothing yet. `socket`: of the daemon; None for the usual one."""
        self._command = [PROGRAM, f"--keys={KEYS}"]
        if socket is not None:
            self._command.append(f"--socket={socket}")

    def read(self, credential: str) -> Credential:
        """As in the port."""
        try:
            done = subprocess.run(
                self._command,
                input=credential.encode("utf-8", "replace"),
                capture_output=True,
                timeout=SECONDS,
                check=False,
            )
        except OSError as error:
            raise _away(f"the program {PROGRAM} cannot be run: {error.strerror}; install MUNGE there") from error
        except subprocess.TimeoutExpired as error:
            raise _away(f"it said nothing for {SECONDS:g} s") from error
        if done.returncode < 0 or done.returncode in AWAY:
            raise _away("see `systemctl status munge` there")
        head, _, payload = done.stdout[:LARGEST_OUTPUT].partition(b"\n\n")
        said = _values(head.decode("ascii", "replace"))
        if done.returncode != 0:
            raise _refused(done.returncode, said)
        uid = _number(said["UID"])
        return Credential(payload=payload, uid=uid, user=_name_of(uid), host=_host(said))


def _values(text: str) -> dict[str, str]:
    found = (_LINE.match(line) for line in text.split("\n"))
    return {match[1]: match[2] for match in found if match}


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""


def _number(text: str) -> int:
    """Returns the number of "12", or of "text (12)"; -1 where there is none."""
    found = _NUMBER.search(text)
    return int(found[1]) if found else -1


def _host(said: dict[str, str]) -> str:
    """Returns the host of "login-1 (192.0.2.7)"."""
    found = said.get("ENCODE_HOST", "").partition(" ")[0]
    return found if _NAME.fullmatch(found) else "?"


def _refused(status: int, said: dict[str, str]) -> CredentialRefused:
    made, read, life = (_number(said.get(key, "")) for key in ("ENCODE_TIME", "DECODE_TIME", "TTL"))
    metadata = {"munge_status": str(status)}
    if status == REPLAYED:
        return CredentialRefused("the MUNGE credential was used before: run `ka login` again", metadata=metadata)
    if status in {EXPIRED, REWOUND}:
        apart = read - made
        how = f"{apart} s ago" if apart >= 0 else f"{-apart} s in the future"
        return CredentialRefused(
            f"the MUNGE credential was made {how} by the clock of the inventory's host, and counts {life} s: "
            f"compare the clocks of {_host(said)} and of the inventory's host, then run `ka login` again",
            metadata=metadata,
        )
    return CredentialRefused(
        f"MUNGE on the inventory's host does not believe the credential (status {status}): "
        "both hosts need the same MUNGE key",
        metadata=metadata,
    )


def _away(why: str) -> MungeUnreachable:
    return MungeUnreachable(f"MUNGE does not answer on the inventory's host: {why}")
