"""Makes the stubs while the wheel of the contracts is built: neither a checkout nor the sdist has to hold them."""

import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

GENERATE_SECONDS = 300
EDITABLE = "editable"


class StubHook(BuildHookInterface):  # type: ignore[type-arg]
    """Generates into a temporary directory, so that the checkout that is built from stays as it is."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Adds the stubs to the wheel. An editable installation has those of `make proto`.

        Args:
            version: "standard" or "editable".
            build_data: what the wheel is made of; changed in place.
        """
        if version == EDITABLE:
            return
        self._stubs = tempfile.TemporaryDirectory(prefix="kadeploy-stubs-")
        program = Path(self.root, "generate.py")
        command = [sys.executable, str(program), "--output", self._stubs.name]
        # protoc finds its plugins on the path; they lie beside the Python that builds.
        path = os.pathsep.join((sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)))
        subprocess.run(command, timeout=GENERATE_SECONDS, check=True, env={**os.environ, "PATH": path})
        build_data["force_include"][str(Path(self._stubs.name, "kadeploy"))] = "kadeploy"

    def finalize(self, version: str, _build_data: dict[str, Any], _artifact_path: str) -> None:
        """Removes the temporary directory."""
        if version != EDITABLE:
            self._stubs.cleanup()
