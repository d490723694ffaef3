"""Brings together what the recipe names: the unpacked packages and the kernel among them."""

from dataclasses import dataclass
from pathlib import Path

from deployenv import recipe
from deployenv.packages import kernel_package, unpack
from deployenv.workspace import digest_files, write_whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingredients:
    """The unpacked packages of the recipe, their versions and the kernel's release."""

    root: Path
    versions: dict[str, str]
    kernel_release: str

    @property
    def kernel(self) -> bytes:
        """The kernel itself, as a boot loader takes it."""
        return (self.root / f"boot/vmlinuz-{self.kernel_release}").read_bytes()


def ingredients(cache: Path) -> Ingredients:
    """Returns the recipe's packages, fetched if the cache does not hold them; the caller holds the cache's lock.

    Which kernel is the newest is asked once for each recipe: with a full cache, a build needs neither a network nor
    apt's package lists.
    """
    remembered = cache / f"kernel-{digest_files([Path(recipe.__file__)])[:16]}"
    if not remembered.exists():
        write_whole(remembered, kernel_package(recipe.KERNEL).encode())
    packages = unpack([*recipe.PACKAGES, remembered.read_text()], cache=cache)
    release = next((packages.root / "lib/modules").iterdir()).name
    return Ingredients(root=packages.root, versions=packages.versions, kernel_release=release)
