"""How many environments a user may have recorded. Administrators have no quota."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentQuota:
    """What one user may have.

    Attributes:
        environments: of all names, each version counted.
        versions: of one name.
    """

    environments: int = 1000
    versions: int = 100


DEFAULT_QUOTA = EnvironmentQuota()
"""Where the site says nothing else."""
