"""Where this machine's apt fetches Debian's packages from, with package lists of our own, so that no root is needed.

The sources are those of this machine (/etc/apt); nothing of its apt is changed.
"""

import subprocess
import time
from pathlib import Path

from kadeploy_deployenv.failure import BuildFailure

SUITE = "bookworm"
SUITES = {"bookworm": "Debian 12", "trixie": "Debian 13"}
_ATTEMPTS = 3
_PAUSE_SECONDS = 5
_SECONDS = 900
# The hooks clear caches of this machine. As root, apt would fetch as its own user, who may not write here.
_CONFIGURATION = """\
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
APT::Sandbox::User "root";
APT::Get::List-Cleanup "false";
Acquire::Languages "none";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Dir::Cache "@folder/cache";
Dir::State::lists "@folder/lists";
"""


class Apt:
    """This machine's apt with its lists and cache in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._configuration = self._folder / "apt.conf"

    def update(self) -> None:
        """Fetches the package lists."""
        for name in ("lists/partial", "cache/archives/partial"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        self._configuration.write_text(_CONFIGURATION.replace("@folder", str(self._folder)))
        print("fetching Debian's package lists", flush=True)
        self._run(["apt-get", "update"], cwd=self._folder)

    def sources(self, suite: str = SUITE) -> list[str]:
        """Returns this machine's sources of Debian 12 (or another suite), as lines of a sources.list.

        Raises BuildFailure if it has none.
        """
        found = self.known_sources(suite)
        if not found:
            raise BuildFailure(f"apt has no source of {SUITES[suite]} ({suite}) here, or cannot reach it; see /etc/apt")
        return found

    def known_sources(self, suite: str) -> list[str]:
        """Returns this machine's sources of a suite of Debian, as lines of a sources.list; none if it has none."""
        form = "$(ORIGIN) $(RELEASE) $(COMPONENT) $(REPO_URI)"
        listing = self._run(["apt-get", "indextargets", "--format", form, "Identifier: Packages"], cwd=self._folder)
        lines = []
        for target in listing.splitlines():
            origin, release, component, uri = target.split(" ", 3)
            if origin == "Debian" and release.split("-")[0] == suite:
                lines.append(f"deb {uri} {release} {component}")
        return lines

    def _run(self, command: list[str], *, cwd: Path) -> str:
        command = [command[0], f"--config-file={self._configuration}", *command[1:]]
        attempt = 1
        while True:
            try:
                return subprocess.run(
                    command, cwd=cwd, capture_output=True, text=True, check=True, timeout=_SECONDS
                ).stdout
            except FileNotFoundError:
                raise BuildFailure(f"{command[0]} is not installed; build on Debian 12 or 13") from None
            except subprocess.TimeoutExpired:
                raise BuildFailure(f"{command[0]} did not finish in {_SECONDS} s; try again") from None
            except subprocess.CalledProcessError as error:
                if attempt == _ATTEMPTS:
                    reason = " ".join(error.stderr.split()) or f"exit status {error.returncode}"
                    raise BuildFailure(f"{command[0]} {command[2]} failed: {reason}") from error
            attempt += 1
            time.sleep(_PAUSE_SECONDS)
