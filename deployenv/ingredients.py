"""Brings together what the recipe names: the unpacked packages and the kernel among them."""

from dataclasses import dataclass
from pathlib import Path

from deployenv import recipe
from deployenv.packages import unpack


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
    """Returns the recipe's packages, fetched if the cache does not hold them; the caller holds the cache's lock."""
    packages = unpack(recipe.PACKAGES, kernel=recipe.KERNEL, cache=cache)
    release = next((packages.root / "lib/modules").iterdir()).name
    return Ingredients(root=packages.root, versions=packages.versions, kernel_release=release)
