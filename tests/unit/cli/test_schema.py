"""The schemas of YAML files: what the readers accept fits them, and every key that a reader knows is described."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from kadeploy.inventory.v1 import environment_pb2
from kadeploy_cli.descriptions import cluster_profile, environment_yaml, nodes_yaml, schema
from kadeploy_cli.ka import ka
from kadeploy_cli.terminal.failures import UsageFailure

DOCS = Path(__file__).parents[3] / "docs"
EXAMPLE = re.compile(r"(?m)(?:^    .*\n|^\n(?=    ))+")


def example(page: str, heading: str) -> str:
    """Returns the first indented block below a heading of a page."""
    found = EXAMPLE.search((DOCS / page).read_text().partition(f"\n{heading}\n")[2])
    assert found is not None
    return found[0]


def read_nodes(text: str) -> None:
    nodes_yaml.parse(text, "x.yaml")


def read_disks(text: str) -> None:
    nodes_yaml.parse_disks(text, "x.yaml")


def read_cluster(text: str) -> None:
    def archive(_name: str, _directory: Path, _script: str) -> environment_pb2.ScriptArchive:
        return environment_pb2.ScriptArchive()

    cluster_profile.parse(text, "x.yaml", directory=Path("/"), read_archive=archive)


def read_environment(text: str) -> None:
    files = environment_yaml.Files(
        directory=Path("/"),
        read_image=lambda _name, _directory, kind: environment_pb2.Image(
            kind=kind[0] if kind else environment_pb2.IMAGE_KIND_TAR
        ),
        read_archive=lambda *_: environment_pb2.ScriptArchive(),
        note=lambda _sentence: None,
    )
    environment_yaml.parse(text, "x.yaml", {}, files)


READERS: Mapping[str, Callable[[str], None]] = {
    "nodes": read_nodes,
    "disks": read_disks,
    "cluster": read_cluster,
    "environment": read_environment,
}
NODES = example("commands.md", "### The description of nodes in YAML")
EXAMPLES = {
    "nodes": NODES,
    "disks": "disks:\n- {device: sda, size: 80000, partitions: [{number: 1, size: 20 GiB, role: deploy}]}\n",
    "cluster": example("commands.md", "## The profile of a cluster"),
    "environment": example("commands.md", "### In YAML, as Kadeploy 3 described it"),
}
WRONG = {
    "nodes": ["nodes: []", "cluster: a", "nodes: [{name: a, mac: b}]", "nodes: {a: b}", NODES.replace("uefi", "bsd")],
    "disks": ["disks: [{device: sda}]", "disks: [{device: sda, size: 1, table: gpd}]"],
    "cluster": [
        "boot_method: floppy", "reboot_window: {size: 0}", "reboot_ladder: [harder]", "commands: {explode: now}",
        "default_environment: {version: 1}", "step_policies: {format: {retries: 101}}", "partition_on_deploy: perhaps",
    ],
    "environment": ["name: a", "name: a\nos: bsd\nimage: {file: a, kind: tar, compression: none}"],
}  # fmt: skip


def faults(kind: str, text: str) -> list[str]:
    """Returns what the schema has against a text."""
    validator = Draft202012Validator(schema.SCHEMAS[kind]())
    return [error.message for error in validator.iter_errors(yaml.safe_load(text))]


@pytest.mark.parametrize("kind", READERS)
def test_a_schema_is_one(kind: str) -> None:
    Draft202012Validator.check_schema(schema.SCHEMAS[kind]())


@pytest.mark.parametrize("kind", READERS)
def test_what_the_documents_show_is_read_and_fits(kind: str) -> None:
    READERS[kind](EXAMPLES[kind])
    assert faults(kind, EXAMPLES[kind]) == []


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in WRONG.items() for text in texts])
def test_what_does_not_fit_is_refused_by_the_reader_too(kind: str, text: str) -> None:
    assert faults(kind, text) != []
    with pytest.raises(UsageFailure):
        READERS[kind](text)


@pytest.mark.parametrize("kind", READERS)
def test_every_key_that_the_reader_knows_is_in_the_schema_and_no_other(kind: str) -> None:
    with pytest.raises(UsageFailure) as caught:
        READERS[kind]("no_such_key: 1\n")
    found = re.search(r"known (?:here )?are (.*)", caught.value.message)
    assert found is not None, caught.value.message
    assert set(found[1].rstrip(".").split(", ")) == set(schema.SCHEMAS[kind]()["properties"])


def test_each_entry_of_the_nodes_has_the_keys_of_its_reader() -> None:
    entry = schema.nodes()["properties"]["nodes"]["items"]
    assert set(entry["properties"]) == set(nodes_yaml.KEYS)
    partition = schema.disks()["properties"]["disks"]["items"]["properties"]["partitions"]["items"]
    assert set(partition["properties"]) == set(nodes_yaml.PARTITION_KEYS)


def test_a_command_prints_it() -> None:
    done = CliRunner().invoke(ka, ["schema", "nodes"])
    assert (done.exit_code, json.loads(done.output)) == (0, schema.nodes())
