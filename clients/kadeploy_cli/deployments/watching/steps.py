"""The steps of a deployment in their order, as people read them. A test compares them with the deployer's plan."""

STEPS = (
    "boot_deployment_environment",
    "find_disk",
    "preinstall",
    "partition",
    "format",
    "mount",
    "broadcast",
    "mount_image",
    "postinstall",
    "cloud_init",
    "keys",
    "boot_files",
    "boot_new_system",
)
COPY = "broadcast"
"""The step whose progress is counted in bytes."""


def step_words(step: str) -> str:
    """Returns a step's name for people."""
    return step.replace("_", " ")


def step_number(step: str) -> int:
    """Returns a step's place in the plan, from 1; 0 before the first and for a step of a newer deployer."""
    return STEPS.index(step) + 1 if step in STEPS else 0


def numbered(step: str) -> str:
    """Returns a step's place and name: " 6/11 broadcast"."""
    number = step_number(step)
    return f"{number:>2}/{len(STEPS)} {step_words(step)}" if number else step_words(step)
