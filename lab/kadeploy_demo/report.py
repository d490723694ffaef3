"""What the demo found: report.json for programs, a table for people."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeReport:
    """One node at the end. What a node can tell was read from it over ssh; `seconds` per step is the deployer's.

    Attributes:
        verified: the node runs the new system from its target, seen by logging in.
        problem: why not, one sentence; empty when verified.
    """

    name: str
    state: str
    deployenv_boot_id: str
    boot_id: str
    root_device: str
    kernel_command_line: str
    image_digest: str
    seconds: Mapping[str, float]
    system: str = ""
    kernel: str = ""
    verified: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The whole run. `seconds`: per phase of the demo itself."""

    deployment: str
    state: str
    environment: str
    accelerator: str
    nodes: Sequence[NodeReport]
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def succeeded(self) -> bool:
        """True when every node was verified, and there was one."""
        return bool(self.nodes) and all(node.verified for node in self.nodes)

    def write(self, path: Path) -> None:
        """Writes report.json whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps({**asdict(self), "succeeded": self.succeeded}, indent=2) + "\n")
        temporary.replace(path)

    def table(self) -> str:
        """Returns the report for people: per node what was seen, then the time of each step."""
        lines = []
        for node in self.nodes:
            lines.append(f"{node.name}: {'verified' if node.verified else 'NOT verified: ' + node.problem}")
            if node.boot_id:
                lines.append(f"    runs       {node.system}, Linux {node.kernel}")
                lines.append(f"    root       {node.root_device}")
                lines.append(f"    boot id    {node.boot_id} (deployment environment: {node.deployenv_boot_id})")
                lines.append(f"    image      {node.image_digest}")
                lines.append(f"    arguments  {node.kernel_command_line}")
        steps = list(dict.fromkeys(step for node in self.nodes for step in node.seconds))
        if steps:
            width = max(len(step) for step in steps)
            lines += ["", f"{'step':{width}}  " + "  ".join(f"{node.name:>8}" for node in self.nodes)]
            for step in steps:
                cells = (f"{node.seconds[step]:7.1f}s" if step in node.seconds else " " * 8 for node in self.nodes)
                lines.append(f"{step:{width}}  " + "  ".join(cells))
        return "\n".join(lines)
