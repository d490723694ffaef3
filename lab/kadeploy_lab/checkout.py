"""Finds the labs of this checkout: under `build/lab/`, up, half there or forgotten."""

from pathlib import Path

from kadeploy_lab import network, plan


def lab_root() -> Path:
    """The directory that holds this checkout's labs, one directory each."""
    checkout = Path(__file__).resolve().parents[2]
    # An installed package has no checkout around it: then the current directory is as good as any.
    home = checkout if (checkout / "pyproject.toml").exists() else Path.cwd()
    return home / "build" / "lab"


def known_labs(root: Path) -> list[str]:
    """The names of the labs of which anything is left, even if their directory is gone."""
    names = {path.parent.name for path in root.glob("*/state.json")}
    traces = [*network.namespaces(), *(path.name for path in plan.RUN_ROOT.glob("*"))]
    for trace in traces:
        name = trace.removeprefix("kalab-").rpartition("-")[0]
        if name and plan.identity(name, root / name) == trace.removeprefix("kalab-"):
            names.add(name)
    return sorted(names)
