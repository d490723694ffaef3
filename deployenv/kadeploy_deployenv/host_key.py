"""Makes the SSH host key of the deployment environment, once; it stays the same from build to build.

The deployer knows the nodes in the deployment environment by its public half. All nodes of a cluster share the key, and
whoever can read the initramfs can read it: the network that nodes boot from has to be trusted, as with any PXE boot.
"""

from dataclasses import dataclass
from pathlib import Path

from kadeploy_deployenv.failure import BuildFailure
from kadeploy_deployenv.packages import run_unpacked


@dataclass(frozen=True, slots=True, kw_only=True)
class HostKey:
    """A host key: the private half in dropbear's format, the public one as an OpenSSH line."""

    private: bytes
    public: str


def host_key(packages: Path, *, cache: Path, given: Path | None = None) -> HostKey:
    """Returns the given host key or else the cached one, made by the packages' own dropbearkey if there is none."""
    path = given.absolute() if given else cache.absolute() / "ssh_host_ed25519_key"
    if not path.exists():
        fresh = path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        _dropbearkey(packages, "-t", "ed25519", "-f", str(fresh))
        fresh.chmod(0o600)
        fresh.rename(path)
    listing = _dropbearkey(packages, "-y", "-f", str(path))
    line = next((line for line in listing.splitlines() if line.startswith("ssh-ed25519 ")), None)
    if line is None:
        raise BuildFailure(f"{path} is not a host key; remove it to get a new one")
    return HostKey(private=path.read_bytes(), public=" ".join(line.split()[:2]) + " kadeploy-deployenv")


def _dropbearkey(packages: Path, *arguments: str) -> str:
    return run_unpacked(packages, "usr/bin/dropbearkey", *arguments, environment={})
