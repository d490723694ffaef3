"""One run of the demo: lab and services up, the scenario, the report, and everything down again."""

import os
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kadeploy_demo.errors import DemoError
from kadeploy_demo.page import Page
from kadeploy_demo.report import Report
from kadeploy_demo.scenario import Build, Scenario
from kadeploy_demo.site import Site
from kadeploy_lab import Lab
from kadeploy_lab.checkout import lab_root

LAB = "demo"


def lab_site(lab: Lab, build: Build, directory: Path) -> Site:
    """Returns the services of a lab: inside its namespace, on sockets that the host can open."""
    sockets = lab.run_directory
    return Site(
        directory=directory,
        tftp_root=lab.tftp_root,
        addresses={name: f"unix:{sockets}/{name}.sock" for name in ("inventory", "deployer", "bootctl")},
        deployment_environment=build.deployment_environment,
        cluster_key=build.cluster_key,
        image_directories=(build.description.parent,),
        boot_logs=(lab.directory / "dnsmasq.log", lab.directory / "tftpd.log"),
        wrap=lab.exec_argv,
    )


def run_demo(build: Build, directory: Path, *, node_count: int, keep: bool, say: Callable[[str], None]) -> int:
    """Runs the demo and returns its exit status: 0 only if every node was verified.

    Args:
        build: what is deployed.
        directory: takes settings, logs and report.json.
        node_count: machines in the lab.
        keep: leave the lab and the services up at the end.
        say: told each thing as it happens.
    """
    for needed in (build.description, build.cluster_key, build.deployment_environment / "initrd.img"):
        if not needed.exists():
            raise DemoError(f"{needed} is not built: run `make deployenv environment-{build.environment}`")
    (directory / "report.json").unlink(missing_ok=True)
    begin = time.monotonic()
    with _lab(node_count=node_count, keep=keep, say=say) as lab:
        say(f"lab: {node_count} machines with blank disks, by {lab.accelerator.name} ({lab.accelerator.reason})")
        report = _deploy_and_verify(lab, build, directory, say)
        say("")
        say(report.table())
        say("")
        verified = sum(node.verified for node in report.nodes)
        took = time.monotonic() - begin
        say(f"{verified} of {len(report.nodes)} nodes verified in {took:.0f} s; {directory}/report.json")
        if keep:
            _tell_how_to_look_around(lab, build, directory, say)
    return 0 if report.succeeded else 1


def _deploy_and_verify(lab: Lab, build: Build, directory: Path, say: Callable[[str], None]) -> Report:
    services = directory / "services"
    site = lab_site(lab, build, services)
    # Of a demo that was killed: unlike the services, it is not in the lab's namespace, which ends with the lab.
    Page(site=site).stop()
    shutil.rmtree(services, ignore_errors=True)
    site.write_settings()
    site.write_client_settings("root")
    site.prepare_tree()
    site.start()
    scenario = Scenario(lab=lab, site=site, build=build, directory=directory, say=say)
    scenario.describe_cluster()
    with Page(site=site).served() as address:
        say(f"watch it: {address}")
        scenario.deploy()
        report = scenario.verify()
    report.write(directory / "report.json")
    return report


@contextmanager
def _lab(*, node_count: int, keep: bool, say: Callable[[str], None]) -> Iterator[Lab]:
    """A lab that goes down with everything in it, on success, failure and Ctrl-C; with keep on failure only."""
    # Among the labs of this checkout, where `make lab-down` finds it whatever happens to this process.
    lab = Lab.up(LAB, lab_root() / LAB, node_count=node_count, owner_pid=os.getpid(), say=say)
    released = False
    try:
        yield lab
        if keep:
            lab.release()
            released = True
    finally:
        with _no_more_interrupts():
            if not released:
                lab.down()


@contextmanager
def _no_more_interrupts() -> Iterator[None]:
    """Lets a clean-up end although Ctrl-C is pressed again; its own waits have bounds."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tell_how_to_look_around(lab: Lab, build: Build, directory: Path, say: Callable[[str], None]) -> None:
    """Says commands that work as they stand; sockets and namespace are root's, so who came by sudo needs it again."""
    first = lab.nodes[0]
    sudo = ["sudo"] if "SUDO_UID" in os.environ else []
    tool = ["env", f"KADEPLOY_CONFIG={directory}/services/client.toml"]
    known_hosts = f"UserKnownHostsFile={directory / f'known_hosts.{first.name}'}"
    login = ["ssh", "-F", "none", "-i", str(build.cluster_key), "-o", known_hosts, f"root@{first.ip}"]
    programs = Path(sys.executable).parent
    say("The lab stays up. Look around:")
    for command in (
        [*sudo, *tool, f"{programs}/kanodes", "-listpartition"],
        [*sudo, *tool, f"{programs}/ka", "deployment", "list"],
        [*sudo, f"{programs}/kadeploy-web", "serve", "--config", f"{directory}/services/web.toml"],
        [*sudo, *tool, f"{programs}/kaconsole", "-m", first.name],
        [*sudo, *lab.exec_argv(login)],
        ["tail", "-f", str(first.serial_log)],
    ):
        say("  " + shlex.join(command))
    say("End it with `make lab-down`.")
