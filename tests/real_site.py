"""A lab with the services in it, as the end-to-end tests use it: brought up, described, and taken down again."""

import io
import os
import tarfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from kadeploy_demo.errors import DemoError
from kadeploy_demo.node_login import NodeAnswer, ask_node
from kadeploy_demo.run import lab_site
from kadeploy_demo.scenario import DEVICE, Build, Scenario
from kadeploy_lab import Lab, plan
from kadeploy_lab.hardware import Hardware

CHECKOUT = Path(__file__).resolve().parents[1]
ENVIRONMENTS = CHECKOUT / "build" / "environments"
TINY = Build(
    deployment_environment=CHECKOUT / "build" / "deployenv",
    environment="tiny",
    description=ENVIRONMENTS / "tiny" / "tiny.env",
    cluster_key=CHECKOUT / "build" / "keys" / "cluster_ed25519",
)
HARDWARE = Build(
    deployment_environment=CHECKOUT / "build" / "deployenv-hardware",
    environment="tiny-hardware",
    description=ENVIRONMENTS / "tiny-hardware" / "tiny-hardware.env",
    cluster_key=TINY.cluster_key,
)
LOGIN_SECONDS = 120.0


def described(environment: str, description: Path) -> Build:
    """Returns what is deployed when it is this environment."""
    return replace(TINY, environment=environment, description=description)


@contextmanager
def real_site(
    name: str,
    directory: Path,
    *,
    build: Build = TINY,
    node_count: int = 2,
    memory_mib: int = 768,
    firmware: Mapping[str, str] | None = None,
    hardware: Mapping[str, Hardware] | None = None,
    loaders: str = plan.LOADERS,
    tftp_servers: Mapping[str, str] | None = None,
    device: str = DEVICE,
    deployer_settings: str = "",
    bootctl_settings: str = "",
    bootctl_keys: str = "",
) -> Iterator[Scenario]:
    """Yields a site whose machines are off, with blank disks, and whose cluster is described.

    Args:
        name: the lab's.
        directory: takes everything that is written; in its folder `images` a test may put files of environments.
        build: what is deployed.
        node_count: machines.
        memory_mib: of each machine.
        firmware: by node, "uefi" for those that have one.
        hardware: by node, for those that are not built of virtio's parts.
        loaders: below which folder of the TFTP tree DHCP names the loaders.
        tftp_servers: by node, for those that boot from another TFTP server than the lab's.
        device: what the target's disk is called on the nodes.
        deployer_settings: lines at the top of the deployer's settings.
        bootctl_settings: tables at the end of bootctl's settings.
        bootctl_keys: lines at their top.
    """
    lab = Lab.up(
        name,
        directory / "lab",
        node_count=node_count,
        memory_mib=memory_mib,
        firmware=firmware,
        hardware=hardware,
        loaders=loaders,
        tftp_servers=tftp_servers,
        owner_pid=os.getpid(),
    )
    images = directory / "images"
    images.mkdir(exist_ok=True)
    site = replace(lab_site(lab, build, directory / "services"), image_directories=(ENVIRONMENTS, images))
    try:
        site.write_settings()
        settings = site.settings_file("deployer")
        settings.write_text(deployer_settings + settings.read_text())
        settings = site.settings_file("bootctl")
        settings.write_text(bootctl_keys + settings.read_text() + bootctl_settings)
        site.write_client_settings("root")
        site.prepare_tree()
        site.start()
        scenario = Scenario(lab=lab, site=site, build=build, directory=directory, say=print, device=device)
        scenario.describe_cluster()
        yield scenario
    finally:
        try:
            site.stop()
        finally:
            lab.down()


def answer_of(scenario: Scenario, told: Mapping[str, Any], *, private_key: Path | None = None) -> NodeAnswer:
    """Logs in on a node with the host keys of its deployment, and returns what it says of itself.

    Args:
        scenario: where.
        told: what a deployment tells of the node (`ka deployment show ID -o json`).
        private_key: the cluster's unless another one is to open the node.
    """
    name = told["node"]
    return ask_node(
        scenario.lab.node(name).ip,
        host_keys=told["host_keys"],
        private_key=private_key or scenario.build.cluster_key,
        known_hosts=scenario.directory / f"known_hosts.{name}",
        wrap=scenario.lab.exec_argv,
    )


def answer_in_time(scenario: Scenario, told: Mapping[str, Any]) -> NodeAnswer:
    """Logs in on a node that has just said that it started: its ssh server comes a moment later."""
    deadline = time.monotonic() + LOGIN_SECONDS
    while True:
        try:
            return answer_of(scenario, told)
        except DemoError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.5)


def archive(path: Path, scripts: Mapping[str, str]) -> None:
    """Writes a .tar.gz of scripts."""
    with tarfile.open(path, "w:gz") as made:
        for name, text in scripts.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(text.encode()), 0o755
            made.addfile(member, io.BytesIO(text.encode()))
