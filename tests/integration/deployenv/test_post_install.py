"""The post-install scripts where they refuse; that they work is shown by tests/e2e/test_deployenv.py."""

import subprocess
from pathlib import Path

import pytest
from environments.build import HOME

pytestmark = pytest.mark.integration


def run(name: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    for source in (HOME / "postinstall", HOME / name / "postinstall"):
        for file in source.iterdir():
            (folder / file.name).write_bytes(file.read_bytes())
    return subprocess.run(
        ["sh", str(folder / "traitement.ash"), str(folder)],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **variables},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("name", ["tiny", "debian"])
def test_without_a_target_it_fails_and_says_so(name: str, tmp_path: Path) -> None:
    done = run(name, tmp_path)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "post-install: KADEPLOY_ENV_EXTRACTION_DIR is not set\n"


@pytest.mark.parametrize("name", ["tiny", "debian"])
def test_without_a_partition_it_fails_before_it_writes_anything(name: str, tmp_path: Path) -> None:
    target = tmp_path / "target"
    (target / "etc").mkdir(parents=True)

    done = run(name, tmp_path, KADEPLOY_ENV_EXTRACTION_DIR=str(target), KADEPLOY_DEPLOY_PART="/dev/nowhere3")

    assert done.returncode == 1
    assert done.stderr == "post-install: KADEPLOY_DEPLOY_PART='/dev/nowhere3' is no block device\n"
    assert list((target / "etc").iterdir()) == []
