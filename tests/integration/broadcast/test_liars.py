"""Nodes that give other bytes, or say what is not so: they are found out, named, and cost nobody the file."""

from pathlib import Path

import pytest

from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.states import FailureReason
from kadeploy_deployer.ports import Received
from tests.integration.broadcast.conftest import Chain, contents
from tests.integration.broadcast.odd_node import program

pytestmark = pytest.mark.integration


async def test_a_node_that_passes_on_other_bytes_is_found_out_and_named(chain: Chain, image: Path, tree: Path) -> None:
    chain.shell.programs_of["n2"] = program("spoils")
    results = await chain.send(image, 4)
    assert {type(result) for result in results.values()} == {Received}
    for node in results:
        assert contents(chain.directory(node)) == contents(tree)
    assert chain.said("n3", "left")[0] == {
        "event": "left",
        "name": "n2",
        "why": "block 2 is not the one that was registered",
    }
    # Who is behind the honest one blames nobody.
    assert chain.said("n4", "left") == []


async def test_a_node_that_says_it_has_what_it_does_not_give_is_left(chain: Chain, image: Path, tree: Path) -> None:
    chain.shell.programs_of["n2"] = program("boasts")
    results = await chain.send(image, 4)
    assert {type(result) for result in results.values()} == {Received}
    assert contents(chain.directory("n4")) == contents(tree)
    assert chain.said("n3", "left")[0]["name"] == "n2"
    assert chain.said("n3", "left")[0]["why"] in {
        "it says that it has more, and gives nothing",
        "it is slower than n1",
        "it is slower than the deployer",
    }


async def test_a_node_that_lies_about_its_digest_fails_alone(chain: Chain, image: Path) -> None:
    chain.shell.programs_of["n2"] = program("lies")
    results = await chain.send(image, 3)
    failed = results["n2"]
    assert isinstance(failed, Failure)
    assert failed.reason is FailureReason.DIGEST_MISMATCH
    assert failed.description.startswith("n2 says that it received other blocks than those of sha256:")
    assert isinstance(results["n1"], Received)
    assert isinstance(results["n3"], Received)
