"""The demo: from blank disks to machines that answer from their new system, and a report of what was seen."""

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kadeploy_demo.client import Client
from kadeploy_demo.errors import DemoError
from kadeploy_demo.lab_profile import lab_profile
from kadeploy_demo.node_login import ask_node
from kadeploy_demo.report import NodeReport, Report
from kadeploy_demo.site import Site
from kadeploy_lab import Lab, LabNode, plan

DEVICE = "vda"
PARTITION = 3
USER = "alice"
CLUSTER = "default"
KADEPLOY_SECONDS = 1800.0

# One disk of 8 GiB, described in the classic format. Sizes in MB.
DISK = """\\#
{device} 8000
1 500 swap
2 1000 empty
3 4000 empty
4 500 tmp
"""


def partition(device: str, number: int) -> str:
    """Returns what Linux calls a partition of a disk: vda3, nvme0n1p3."""
    return f"{device}{'p' if device[-1].isdigit() else ''}{number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """What was built before: the deployment environment, and the environment to deploy with its description."""

    deployment_environment: Path
    environment: str
    description: Path
    cluster_key: Path


@dataclass(slots=True, kw_only=True)
class Scenario:
    """One run. `directory` takes everything that it writes; `say` is told each thing as it happens.

    `device` is what the target's disk is called on the nodes.
    """

    lab: Lab
    site: Site
    build: Build
    directory: Path
    say: Callable[[str], None]
    device: str = DEVICE
    seconds: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        start = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - start, 1)

    @property
    def administrator(self) -> Client:
        """The tools as the administrator uses them."""
        return Client(settings=self.site.write_client_settings("root"), say=self.say)

    @property
    def user(self) -> Client:
        """The tools as a user with a right uses them."""
        return Client(settings=self.site.write_client_settings(USER, f"client-{USER}.toml"), say=self.say)

    @property
    def node_set(self) -> str:
        """All nodes of the lab."""
        return ",".join(node.name for node in self.lab.nodes)

    def describe_cluster(self) -> None:
        """Registers nodes and profile, records the environment, grants the right."""
        with self._phase("describe the cluster"):
            nodes = self.directory / "nodes.txt"
            lines = [f"{node.name} {node.mac} {node.ip}\n" for node in self.lab.nodes]
            nodes.write_text("".join(lines) + DISK.format(device=self.device))
            profile = self.directory / "profile.yaml"
            profile.write_text(lab_profile(self.lab, device=self.device))
            self.administrator.run("ka", "cluster", "update", CLUSTER, "--profile", str(profile))
            self.administrator.run("kaaddnode", str(nodes))
            for node in self.lab.nodes:
                firmware = ("--firmware", node.firmware) if node.firmware != plan.BIOS else ()
                self.administrator.run(
                    *("ka", "node", "update", node.name, "--bmc-address", node.bmc_address), *firmware
                )
            self.administrator.run("karecordenv", "-fe", str(self.build.description), "--visibility", "public")
            target = partition(self.device, PARTITION)
            self.administrator.run("kaadduser", "-l", USER, "-m", self.node_set, "-p", target)

    def deploy(self, *options: str) -> int:
        """Runs kadeploy on all nodes, its progress going where ours goes, and returns its exit status."""
        command = [
            *("kadeploy", "-e", self.build.environment, "-m", self.node_set),
            *("-p", partition(self.device, PARTITION), "--partition-disk", *options),
        ]
        self.say("$ " + " ".join(command))
        with self._phase("deploy"), self._started(command) as running:
            try:
                return running.wait(KADEPLOY_SECONDS)
            except BaseException as error:
                # Ctrl-C has reached kadeploy too; it gets a moment to tell the deployer.
                with contextlib.suppress(subprocess.TimeoutExpired):
                    running.wait(15)
                running.kill()
                if isinstance(error, subprocess.TimeoutExpired):
                    raise DemoError(f"kadeploy did not end within {KADEPLOY_SECONDS:.0f} s") from error
                raise

    def _started(self, command: list[str]) -> "subprocess.Popen[bytes]":
        # Without a terminal to ask on, Ctrl-C makes kadeploy cancel and report.
        user = self.user
        return subprocess.Popen(user.argv(command), env=user.environment(), stdin=subprocess.DEVNULL)

    def verify(self) -> Report:
        """Logs in on every node and reports what is there."""
        deployments = self.user.read_json("ka", "deployment", "list", "-o", "json")
        if not deployments:
            raise DemoError("the deployer knows no deployment: kadeploy was refused")
        deployment = self.user.read_json("ka", "deployment", "show", deployments[0]["id"], "-o", "json")
        with self._phase("verify"):
            described = {entry["node"]: entry for entry in deployment["nodes"]}
            nodes = [self._verify_node(node, described.get(node.name, {})) for node in self.lab.nodes]
        return Report(
            deployment=deployment["id"],
            state=deployment["state"],
            environment=self.build.environment,
            accelerator=self.lab.accelerator.name,
            nodes=nodes,
            seconds=self.seconds,
        )

    def _verify_node(self, node: LabNode, described: Mapping[str, Any]) -> NodeReport:
        steps = {step["step"]: step["duration"] for step in described.get("step_durations", [])}
        seen = NodeReport(
            name=node.name,
            state=described.get("state", ""),
            deployenv_boot_id=described.get("deployment_boot_id", ""),
            boot_id="",
            root_device="",
            kernel_command_line="",
            image_digest=described.get("image_digest", ""),
            seconds=steps,
        )
        if seen.state != "deployed":
            return replace(seen, problem=described.get("description", "it took no part in the deployment"))
        try:
            answer = ask_node(
                node.ip,
                host_keys=described.get("host_keys", []),
                private_key=self.build.cluster_key,
                known_hosts=self.directory / f"known_hosts.{node.name}",
                wrap=self.lab.exec_argv,
            )
        except DemoError as error:
            return replace(seen, problem=str(error))
        problems = {
            f"its root is {answer.root_device}": answer.root_device != f"/dev/{partition(self.device, PARTITION)}",
            "it runs the deployment environment still": answer.boot_id == seen.deployenv_boot_id,
            "it has booted again since the deployer saw it": answer.boot_id != described.get("boot_id"),
            f"it calls itself {answer.host_name}": answer.host_name != node.name,
        }
        problem = "; ".join(sentence for sentence, wrong in problems.items() if wrong)
        return replace(
            seen,
            boot_id=answer.boot_id,
            root_device=answer.root_device,
            kernel_command_line=answer.kernel_command_line,
            system=answer.system,
            kernel=answer.kernel,
            verified=not problem,
            problem=problem,
        )
