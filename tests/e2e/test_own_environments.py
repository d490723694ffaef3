"""Environments as users bring them, on real machines: a public description, an upload, a container image.

All machines are deployed at the same time: one by the description of a recorded environment, as Grid'5000 publishes
them; one by a description that is recorded nowhere, with an image that lies where the deployer cannot read it, and
which makes new host keys at its first boot; one by an environment of a container image.
"""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kadeploy_demo.node_login import NodeAnswer
from kadeploy_demo.scenario import USER, Scenario
from tests.fakes.oci_images import layout
from tests.real_site import ENVIRONMENTS, answer_of, archive, real_site

pytestmark = pytest.mark.lab

SECONDS = 600.0
TINY = ENVIRONMENTS / "tiny"
POSTINSTALL = TINY / "tiny-postinstall.tgz"
BOOT = """\
boot:
  kernel: /boot/vmlinuz
  initrd: /boot/initrd.img
  kernel_params: "console=ttyS0,115200 net.ifnames=0 mitigations=off quiet"
filesystem: ext4
partition_type: 131
"""
PUBLISHED = f"""\
---
name: tiny-min
alias: tiny-x64-min
arch: x86_64
version: 2022010511
description: tiny for x64 - min
author: staff@example.org
visibility: public
destructive: false
os: linux
image:
  file: server://{TINY}/tiny.tar.zst
  kind: tar
  compression: zstd
postinstalls:
- archive: server://{POSTINSTALL}
  compression: gzip
- archive: server://IMAGES/g5k.tgz
  compression: gzip
  script: g5k-postinstall --net debian --disk-aliases
{BOOT}multipart: false
custom_variables:
  BOOTLOADER_NO_GRUB_FROM_DEST: '1'
options:
  kexec: false
  trust_previous_env: false
"""
SCRIPT = """\
#!/bin/sh
set -eu
[ "$*" = "--net debian --disk-aliases" ]
[ "$BOOTLOADER_NO_GRUB_FROM_DEST" = 1 ]
exec /rambin/traitement.ash /rambin
"""
OWN = f"""\
name: mine
os: linux
image: {{file: image, kind: tar, compression: zstd}}
postinstalls:
- {{archive: {POSTINSTALL}, compression: gzip, script: traitement.ash}}
{BOOT}"""
FIRST_BOOT = """
if [ ! -e /etc/firstboot-done ]; then
    rm -f /etc/ssh/ssh_host_* /etc/dropbear/dropbear_*_host_key
    dropbearkey -t ed25519 -f /etc/dropbear/dropbear_ed25519_host_key | grep '^ssh-' >/etc/ssh/ssh_host_ed25519_key.pub
    touch /etc/firstboot-done
fi
"""


def first_boot_image(directory: Path, scratch: Path) -> Path:
    """Makes the tiny system with host keys of the first boot, in two compressed streams, without a suffix."""
    tree = scratch / "tree"
    tree.mkdir()
    run("tar", "-xf", str(TINY / "tiny.tar.zst"), "-C", str(tree))
    start = tree / "usr/lib/kadeploy/start"
    start.write_text(start.read_text() + FIRST_BOOT)
    run("tar", "--numeric-owner", "-cf", str(scratch / "tiny.tar"), "-C", str(tree), ".")
    shutil.rmtree(tree)
    content = (scratch / "tiny.tar").read_bytes()
    half = len(content) // 2
    image = directory / "image"
    with image.open("wb") as packed:
        for part in (content[:half], content[half:]):
            packed.write(subprocess.run(("zstd", "-qc"), input=part, capture_output=True, check=True).stdout)
    return image


def container_image(directory: Path, scratch: Path) -> Path:
    """Makes an OCI layout of the tiny system, whose upper layer removes a file of the lower one and brings another."""
    tree, lower, upper = scratch / "oci", scratch / "lower.tar", scratch / "upper.tar"
    tree.mkdir()
    run("tar", "-xf", str(TINY / "tiny.tar.zst"), "-C", str(tree))
    (tree / "etc/removed").write_text("by the upper layer")
    start = "./usr/lib/kadeploy/start"
    run("tar", "--numeric-owner", "-cf", str(lower), "--exclude", start, "-C", str(tree), ".")
    (tree / "etc/.wh.removed").touch()
    (tree / "etc/dropbear").mkdir(exist_ok=True)
    names = (start, "./etc/.wh.removed", "./etc/dropbear")
    run("tar", "--numeric-owner", "-cf", str(upper), "-C", str(tree), *names)
    shutil.rmtree(tree)
    return layout(directory / "container", [lower.read_bytes(), upper.read_bytes()])


def run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=SECONDS)


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    directory = tmp_path_factory.mktemp("own-environments")
    with real_site("own-envs", directory, node_count=3) as scenario:
        yield scenario


@pytest.fixture(scope="module")
def deployed(scenario: Scenario, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What became of both deployments, by node."""
    images, home = scenario.directory / "images", tmp_path_factory.mktemp("home")
    archive(images / "g5k.tgz", {"g5k-postinstall": SCRIPT})
    published, own = home / "tiny-min.dsc", home / "mine.dsc"
    published.write_text(PUBLISHED.replace("IMAGES", str(images)))
    own.write_text(OWN)
    home.chmod(0o700)
    scratch = tmp_path_factory.mktemp("scratch")
    first_boot_image(home, scratch)
    scenario.administrator.run("kaenv", "-a", str(published))
    arguments = ("-p", "console=ttyS0,115200 net.ifnames=0 mitigations=off quiet")
    container = container_image(home, scratch)
    scenario.user.run("kaenv", "from-oci", str(container), "-n", "contained", "-d", str(home), *arguments)
    target = ("-p", "vda3", "--partition-disk")
    running = [
        subprocess.Popen(
            scenario.user.argv(["kadeploy", *words, *target]),
            env=scenario.user.environment(),
            stdin=subprocess.DEVNULL,
        )
        for words in (
            ("tiny-x64-min", "-m", "node-1"),
            ("-a", str(own), "-m", "node-2"),
            ("contained", "-m", "node-3"),
        )
    ]
    try:
        statuses = [one.wait(SECONDS) for one in running]
    finally:
        for one in running:
            one.kill()
    shown = {}
    for entry in scenario.user.read_json("ka", "deployment", "list", "-o", "json"):
        details = scenario.user.read_json("ka", "deployment", "show", entry["id"], "-o", "json")
        for node in details["nodes"]:
            shown[node["node"]] = node | {"environment": details["environment"]}
    assert {name: node["state"] for name, node in shown.items()} == dict.fromkeys(shown, "deployed"), shown
    assert statuses == [0, 0, 0]
    return shown


def running_on(scenario: Scenario, told: dict[str, Any]) -> NodeAnswer:
    answer = answer_of(scenario, told)
    assert (answer.root_device, answer.host_name) == ("/dev/vda3", told["node"])
    assert answer.boot_id == told["boot_id"] != told["deployment_boot_id"]
    return answer


def test_a_description_as_grid_5000_publishes_it_is_deployed_by_its_alias(
    scenario: Scenario, deployed: dict[str, dict[str, Any]]
) -> None:
    running_on(scenario, deployed["node-1"])
    assert deployed["node-1"]["environment"]["name"] == "tiny-min"


def test_an_image_of_one_s_own_is_uploaded_deployed_and_recorded_nowhere(
    scenario: Scenario, deployed: dict[str, dict[str, Any]]
) -> None:
    environment = deployed["node-2"]["environment"]
    assert (environment["name"], environment["described"], environment["owner"]) == ("mine", True, USER)
    uploads = scenario.user.read_json("ka", "environment", "upload", "list", "-o", "json")
    assert environment["image_digest"] in {each["digest"] for each in uploads}
    recorded = scenario.user.read_json("kaenv", "-l", "-s", "-o", "json")
    assert "mine" not in {each["name"] for each in recorded}


def test_a_system_with_keys_of_its_first_boot_is_proved_at_once_and_its_new_keys_are_recorded(
    scenario: Scenario, deployed: dict[str, dict[str, Any]]
) -> None:
    # With nothing but the recorded keys: those of the image are gone.
    running_on(scenario, deployed["node-2"])
    steps = {each["step"] for each in deployed["node-2"]["step_durations"]}
    assert "boot_new_system" in steps


def test_a_system_of_a_container_image_is_deployed_with_what_its_layers_come_to(
    scenario: Scenario, deployed: dict[str, dict[str, Any]]
) -> None:
    told = deployed["node-3"]
    answer = answer_of(scenario, told)
    assert (answer.root_device, answer.boot_id) == ("/dev/vda3", told["boot_id"])
    listed = subprocess.run(
        scenario.user.argv(["karemote", "-m", "node-3", "-c", "ls /etc"]),
        env=scenario.user.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    assert ("dropbear" in listed.stdout, "removed" in listed.stdout) == (True, False)
