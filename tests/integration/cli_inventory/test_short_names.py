"""Nodes that are registered with their domain, and named without it, or by address."""

from pathlib import Path

import pytest

from kadeploy_cli.ka import ka
from kadeploy_cli.nodes.classic_commands import kaaddnode, kadelnode, kanodes
from kadeploy_cli.rights.classic_commands import karights
from tests.integration.cli_inventory.conftest import Run, Site

pytestmark = pytest.mark.integration

NODES = """\
nodes:
  - {name: "node-[1-4].a.example.org", mac: "52:54:00:00:00:[01-04]", ip: "10.0.0.[1-4]"}
  - {name: "node-4.b.example.org", mac: "52:54:00:00:01:04", ip: "10.0.1.4"}
disks: [{device: sda, size: 8000, partitions: [{number: 3, size: 4000}]}]
"""
LAST = "node-4.a.example.org"


@pytest.fixture(autouse=True)
def _nodes(run: Run) -> None:
    assert run(kaaddnode, ["-"], stdin=NODES).exit_code == 0


def test_short_names_and_addresses_stand_for_registered_nodes(run: Run) -> None:
    listed = run(ka, ["node", "list", "node-[1-2],10.0.0.3,10.0.1.4", "-o", "name"])
    expected = [*(f"node-{number}.a.example.org" for number in (1, 2, 3)), "node-4.b.example.org"]
    assert (listed.exit_code, sorted(listed.stdout.split())) == (0, expected)
    assert "node-1.a.example.org" in run(ka, ["node", "show", "node-1"]).stdout
    assert run(kanodes, ["-listnode", "-m", "node-3", "-o", "name"]).stdout == "node-3.a.example.org\n"
    assert run(karights, ["-a", "-m", "node-[1-2]", "-p", "/dev/sda3", "-u", "alice"]).exit_code == 0
    rights = run(karights, ["-l", "-u", "alice", "--output", "name"]).stdout.split()
    assert rights == ["alice:node-1.a.example.org:sda3", "alice:node-2.a.example.org:sda3"]
    missing = run(ka, ["node", "list", "node-9"])
    assert (missing.exit_code, "node-9 is not registered" in missing.stderr) == (4, True)


def test_a_name_that_fits_several_nodes_is_refused_unless_the_settings_name_the_domain(site: Site, run: Run) -> None:
    refused = run(kadelnode, ["node-4"])
    assert (refused.exit_code, f"node-4 could be {LAST}, node-4.b.example.org" in refused.stderr) == (2, True)
    assert "domain" in refused.stderr
    settings = site.client_file("root")
    settings.write_text('domain = "b.example.org"\n' + settings.read_text())
    arguments = ["--config", str(settings)]
    assert run(kadelnode, ["node-4", *arguments]).exit_code == 0
    assert run(ka, ["node", "list", "node-4", "-o", "name", *arguments]).stdout == f"{LAST}\n"


def test_the_profile_says_where_controllers_answer(run: Run, tmp_path: Path) -> None:
    profile = tmp_path / "profile.yaml"
    profile.write_text('bmc_address: "{node_short}-ipmi.example.org"\n')
    made = run(ka, ["cluster", "update", "default", "--profile", str(profile)])
    assert made.exit_code == 0, made.stderr
    assert "{node_short}-ipmi.example.org" in run(ka, ["cluster", "show", "default"]).stdout
    profile.write_text('bmc_address: "{ip}-ipmi"\n')
    refused = run(ka, ["cluster", "update", "default", "--profile", str(profile)])
    assert (refused.exit_code, "names {ip}, but only" in refused.stderr) == (2, True)
