"""Completion as a shell asks for it: real processes, real services, and the time that it takes."""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kadeploy.deployer.v1 import deployment_pb2
from kadeploy.inventory.v1 import environment_pb2, node_pb2
from kadeploy_cli.ka import ka
from tests.fakes.site import Run, Site

pytestmark = pytest.mark.integration

BIN = Path(sys.executable).parent
SECONDS = 0.15


def environment(site: Site, cache: Path) -> dict[str, str]:
    path = f"{BIN}:{os.environ['PATH']}"
    return {**os.environ, "KADEPLOY_CONFIG": str(site.client_file), "XDG_CACHE_HOME": str(cache), "PATH": path}


def ask(site: Site, cache: Path, *words: str, kind: str = "bash") -> list[str]:
    line, name = " ".join(words), words[0]
    number = str(len(words) - 1) if kind != "fish" else words[-1]
    ended = subprocess.run(
        [str(BIN / name)],
        env={
            **environment(site, cache),
            f"_{name.upper()}_COMPLETE": f"{kind}_complete",
            "COMP_WORDS": line,
            "COMP_CWORD": number,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert not ended.stderr
    return ended.stdout.splitlines()


def answered(site: Site, cache: Path, *words: str) -> list[str]:
    """Asks until there is an answer: a busy machine has none within the first question's time."""
    deadline = time.monotonic() + 30
    while not (names := ask(site, cache, *words)):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return names


@pytest.fixture
def known(site: Site) -> Site:
    for number in range(1, 4):
        name = f"node-{number}"
        site.inventory.nodes[name] = node_pb2.Node(name=name, mac_address=f"52:54:00:00:00:0{number}")
    site.deployer.deployments["D-7"] = deployment_pb2.Deployment(id="D-7", owner="carol")
    return site


def test_names_of_the_services_are_completed_and_the_first_time_is_bounded(known: Site, tmp_path: Path) -> None:
    assert answered(known, tmp_path, "ka", "node", "show", "node-") == ["plain,node-1", "plain,node-2", "plain,node-3"]
    assert answered(known, tmp_path, "ka", "deployment", "show", "D") == ["plain,D-7"]
    assert answered(known, tmp_path, "kadeploy", "-l", "c") == ["plain,carol"]
    assert "--busy" in ask(known, tmp_path, "kadeploy", "--b", kind="zsh")
    assert any(line.startswith("plain,--busy\t") for line in ask(known, tmp_path, "kadeploy", "--b", kind="fish"))


def test_a_keystroke_takes_less_than_150_ms_of_processor_time(known: Site, tmp_path: Path) -> None:
    answered(known, tmp_path, "ka", "node", "show", "node-")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(5):
        assert len(ask(known, tmp_path, "ka", "node", "show", "node-")) == 3
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert spent / 5 < SECONDS


def test_a_node_that_is_registered_appears_within_seconds(known: Site, tmp_path: Path) -> None:
    assert len(answered(known, tmp_path, "ka", "node", "show", "node-")) == 3
    known.inventory.nodes["node-9"] = node_pb2.Node(name="node-9", mac_address="52:54:00:00:00:09")
    (names,) = (tmp_path / "kadeploy" / "names").glob("node-*.json")
    names.write_text(names.read_text().replace('"time": 1', '"time": 0'))
    # The old names at once, the new ones from the process that was started meanwhile.
    assert len(ask(known, tmp_path, "ka", "node", "show", "node-")) in (3, 4)
    deadline = time.monotonic() + 30
    while len(ask(known, tmp_path, "ka", "node", "show", "node-")) != 4:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_services_that_are_away_complete_nothing_and_say_nothing(known: Site, tmp_path: Path) -> None:
    known.client_file.write_text(known.client_file.read_text().replace("inventory.sock", "nothing.sock"))
    assert ask(known, tmp_path, "ka", "node", "show", "node-") == []


def test_bash_itself_completes(known: Site, tmp_path: Path) -> None:
    answered(known, tmp_path, "ka", "node", "show", "node-")
    script = """
        source <(_KA_COMPLETE=bash_source ka)
        COMP_WORDS=(ka node show node-) COMP_CWORD=3
        _ka_completion ka
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    ended = subprocess.run(
        ["bash", "-c", script],
        env=environment(known, tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ended.stdout.split() == ["node-1", "node-2", "node-3"], ended.stderr


@pytest.mark.parametrize(
    ("arguments", "question"),
    [
        (["node", "show", "nod-2"], "Did you mean node-2 or "),
        (["deployment", "show", "D7"], "Did you mean D-7?"),
        (["environment", "show", "debain"], "Did you mean debian?"),
        (["cluster", "show", "nothing-like-it"], ""),
    ],
)
def test_a_name_that_is_not_there_is_answered_with_those_that_look_like_it(
    known: Site, run: Run, arguments: list[str], question: str
) -> None:
    debian = environment_pb2.Environment(name="debian", version=1, owner="root")
    known.inventory.environments.append(debian)
    result = run(ka, arguments)
    assert result.exit_code == 4, result.output
    assert question in result.stderr
    assert bool(question) == ("Did you mean" in result.stderr)
