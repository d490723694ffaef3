"""Public keys as `-k` names them: a file of keys, the address of one, or the user's own.

A line is one of sshd's authorized_keys: the options that stand before a key go with it to the nodes.
"""

import http.client
import re
import time
import urllib.error
from pathlib import Path

from kadeploy_cli.connection.http_opener import http_opener
from kadeploy_cli.nodes import names as node_names
from kadeploy_cli.terminal import output
from kadeploy_cli.terminal.failures import UsageFailure

DEFAULT_KEY = "default"
"""Stands for the user's own keys."""
OWN_KEYS = ("id_ed25519.pub", "id_ecdsa.pub", "id_rsa.pub", "id_dsa.pub")
OWN_LIST = "authorized_keys"
ADDRESS = re.compile(r"https?://", re.IGNORECASE)
MAXIMUM_BYTES = 1 << 20
FETCH_SECONDS = 30.0
_KEY = re.compile(r"(ssh-|ecdsa-|sk-)[a-z0-9@.-]+ +[A-Za-z0-9+/=]+( |$)")
# As sshd reads them: a blank ends the options, but not one in quotes; \" neither begins nor ends a quote.
_OPTIONS = re.compile(r'(?:\\"|\\|[^\s"\\]|"(?:\\"|\\|[^"\\])*+")++\s+')


def read_keys(source: str) -> list[str]:
    """Returns the public keys of a file, of an http(s) address, or the user's own for DEFAULT_KEY."""
    if source == DEFAULT_KEY:
        return _own_keys()
    if ADDRESS.match(source):
        return _keys(_fetch(source), source)
    return _keys(_read(source), source)


def _read(file: str) -> str:
    content = node_names.read_file(file)
    if len(content) > MAXIMUM_BYTES:
        raise UsageFailure(f"{file} is too long for a file of public keys: at most {MAXIMUM_BYTES >> 10} KiB")
    return content.decode("utf-8", errors="replace")


def _keys(text: str, source: str, *, lenient: bool = False) -> list[str]:
    """Returns the keys of a text. Lenient: what is no key is left out, as sshd does, and said."""
    if "PRIVATE KEY" in text:
        raise UsageFailure(
            f"{source} is a private key, which nobody else may see", advice=f"Name the public one: -k {source}.pub"
        )
    found = []
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if not _is_key(line) and lenient:
            output.say(f"{source}, line {number} is no public key and is left out")
            continue
        if not _is_key(line):
            raise UsageFailure(
                f"{source} is not a file of public keys, one a line, such as ssh-ed25519 AAAA… name: see line {number}"
            )
        found.append(line)
    if not found and not lenient:
        raise UsageFailure(f"{source} is not a file of public keys, one a line: there is none in it")
    return found


def _is_key(line: str) -> bool:
    if _KEY.match(line):
        return True
    options = _OPTIONS.match(line)
    return options is not None and _KEY.match(line, options.end()) is not None


def _own_keys() -> list[str]:
    """Returns the user's own key, and those with which the user may log in here: each once."""
    directory = Path("~/.ssh").expanduser()
    own = next((name for name in OWN_KEYS if (directory / name).is_file()), "")
    files = [directory / name for name in (own, OWN_LIST) if name and (directory / name).is_file()]
    keys = [key for file in files for key in _keys(_read(str(file)), str(file), lenient=file.name == OWN_LIST)]
    if not keys:
        raise UsageFailure(
            f"there is no public key in {directory}: neither id_*.pub nor {OWN_LIST}",
            advice="ssh-keygen makes one; -k FILE or -k URL names another.",
        )
    return list(dict.fromkeys(keys))


def _fetch(url: str) -> str:
    deadline = time.monotonic() + FETCH_SECONDS
    content = b""
    try:
        with http_opener().open(url, timeout=FETCH_SECONDS) as answer:
            while part := answer.read1(MAXIMUM_BYTES):
                content += part
                if len(content) > MAXIMUM_BYTES:
                    raise UsageFailure(f"{url} is too long for public keys: at most {MAXIMUM_BYTES >> 10} KiB")
                if time.monotonic() > deadline:
                    raise UsageFailure(f"{url} was not read to its end in {FETCH_SECONDS:g} s")
    except urllib.error.HTTPError as error:
        with error:
            raise UsageFailure(f"{url} cannot be fetched: the server answered {error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        raise UsageFailure(f"{url} cannot be fetched: {error.reason}") from None
    except (http.client.HTTPException, OSError, ValueError) as error:
        raise UsageFailure(f"{url} cannot be fetched: {str(error) or type(error).__name__}") from None
    return content.decode("utf-8", errors="replace")
