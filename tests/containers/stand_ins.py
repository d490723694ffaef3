"""Images that stand for the official ones where no registry can be reached: Debian's packages, the same names.

compose.yaml and the Dockerfile stay as they are. The Python inside is Debian's 3.11, in a tree that otherwise behaves
like the slim image; the database takes the variables of the official image that compose.yaml uses.
"""

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from kadeploy_deployenv.apt import SUITE
from tests.containers.tools import CACHE, debian_sources, recipe_name

BUILD_SECONDS = 600
# The bundle of this machine, so that pip inside a build believes whom pip here believes.
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
HERE = Path(__file__).parent / "stand-ins"
_UNWANTED = ("/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/man/*", "/usr/share/info/*")


@dataclass(frozen=True, slots=True, kw_only=True)
class StandIn:
    """One image: its official name, the packages it is made of, and what its description says."""

    name: str
    packages: tuple[str, ...]
    hook: str
    changes: tuple[str, ...]

    @property
    def archive(self) -> Path:
        """The root file system, in the cache."""
        files = [path.read_text() for path in sorted(HERE.iterdir())]
        return CACHE / f"{recipe_name(self.hook, *self.packages, *files)}.tar"


PATH_VARIABLE = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
STAND_INS = (
    StandIn(
        name="python:3.12-slim-bookworm",
        packages=("ca-certificates", "passwd", "python3", "python3-venv"),
        hook="python",
        changes=(PATH_VARIABLE, f"ENV PIP_CERT={CERTIFICATES}", 'CMD ["python3"]'),
    ),
    StandIn(
        name="mariadb:10.11",
        packages=("mariadb-server", "passwd"),
        hook="mariadb",
        changes=(
            PATH_VARIABLE,
            "VOLUME /var/lib/mysql",
            'ENTRYPOINT ["docker-entrypoint.sh"]',
            'CMD ["mariadbd"]',
            "EXPOSE 3306",
        ),
    ),
)


def archive_of(image: StandIn) -> Path:
    """Returns the root file system of an image as a tar file; built when not there."""
    if image.archive.is_file():
        return image.archive
    CACHE.mkdir(parents=True, exist_ok=True)
    sources = debian_sources()
    with tempfile.TemporaryDirectory(prefix="image-", dir=CACHE) as folder:
        building = Path(folder) / "root.tar"
        command = [
            "mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", f"--include={','.join(image.packages)}",
            *(f"--dpkgopt=path-exclude={path}" for path in _UNWANTED),
            f"--customize-hook={HERE / image.hook}", SUITE, str(building), str(sources),
        ]  # fmt: skip
        subprocess.run(command, check=True, timeout=BUILD_SECONDS)
        building.rename(image.archive)
    return image.archive
