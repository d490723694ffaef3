"""Brings together what an environment is made of: unpacked packages, kernel, and firmware where it is wanted."""

from dataclasses import dataclass
from pathlib import Path

from kadeploy_deployenv import recipe
from kadeploy_deployenv.apt import SUITE
from kadeploy_deployenv.kernel import Kernel, packaged_kernel, site_kernel
from kadeploy_deployenv.packages import PackageSet, unpack
from kadeploy_deployenv.profiles import VIRTUAL, Profile

_FIRMWARE_COMPONENTS = ("main", "non-free-firmware")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingredients:
    """What an environment is made of.

    Attributes:
        root: the unpacked packages.
        versions: of the packages, by name.
        kernel: the kernel.
        firmware: the unpacked packages with firmware; None without.
    """

    root: Path
    versions: dict[str, str]
    kernel: Kernel
    firmware: Path | None = None


def ingredients(
    cache: Path,
    *,
    profile: Profile = VIRTUAL,
    suite: str = SUITE,
    packages: tuple[str, ...] = (),
    mirrors: tuple[str, ...] = (),
    kernel: Path | None = None,
    firmware: bool = False,
) -> Ingredients:
    """Returns the recipe's packages, fetched if the cache does not hold them; the caller holds the cache's lock.

    Args:
        cache: keeps what was fetched.
        profile: names the kernel.
        suite: of Debian.
        packages: more than the recipe's.
        mirrors: see PackageSet.
        kernel: a file with a kernel that takes the place of the profile's.
        firmware: fetch the packages with firmware too.
    """
    names = (*recipe.PACKAGES, *packages, *(() if kernel else (profile.kernel,)))
    unpacked = unpack(
        PackageSet(names=tuple(dict.fromkeys(names)), suite=suite, mirrors=mirrors),
        kind=f"{profile.name}-{suite}",
        cache=cache,
    )
    versions = dict(unpacked.versions)
    files = None
    if firmware:
        more = PackageSet(
            names=(*recipe.FIRMWARE_PACKAGES, *recipe.MORE_FIRMWARE_PACKAGES[suite]),
            suite=suite,
            components=_FIRMWARE_COMPONENTS,
            mirrors=mirrors,
        )
        fetched = unpack(more, kind=f"firmware-{suite}", cache=cache)
        files, versions = fetched.root, versions | fetched.versions
    return Ingredients(
        root=unpacked.root,
        versions=versions,
        kernel=site_kernel(kernel, cache) if kernel else packaged_kernel(unpacked.root),
        firmware=files,
    )
