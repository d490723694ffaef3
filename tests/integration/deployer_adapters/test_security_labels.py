"""The program that labels files for SELinux, run on this machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kadeploy_deployer.steps import security_labels
from kadeploy_deployer.steps.keys import LABELS

pytestmark = pytest.mark.integration

ATTRIBUTE = "security.selinux"
MODEL = b"system_u:object_r:etc_t:s0\0"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "etc/selinux").mkdir(parents=True)
    (tmp_path / "root/.ssh").mkdir(parents=True)
    (tmp_path / "root/.ssh/authorized_keys").write_text("key")
    (tmp_path / "etc/selinux/config").write_text("# comment\nSELINUX=enforcing\nSELINUXTYPE=targeted\n")
    try:
        os.setxattr(tmp_path / "etc", ATTRIBUTE, MODEL)
    except OSError:
        pytest.skip("nobody may write security labels here")
    return tmp_path


def label(root: Path) -> None:
    pairs = [f"{kind}={path}" for path, kind in LABELS.items()]
    program = security_labels._LABEL
    subprocess.run([sys.executable, "-c", program, str(root), *pairs], check=True, timeout=20)


def test_what_was_written_gets_the_type_of_its_place(root: Path) -> None:
    label(root)
    found = os.getxattr(root / "root/.ssh/authorized_keys", ATTRIBUTE)
    assert found == b"system_u:object_r:ssh_home_t:s0\0"
    assert os.getxattr(root / "root/.ssh", ATTRIBUTE) == found
    assert not (root / ".autorelabel").exists()


def test_an_image_without_labels_relabels_itself(root: Path) -> None:
    os.removexattr(root / "etc", ATTRIBUTE)
    label(root)
    assert (root / ".autorelabel").exists()


@pytest.mark.parametrize("config", ["SELINUX=disabled\n", None])
def test_a_system_without_selinux_is_left_alone(root: Path, config: str | None) -> None:
    os.removexattr(root / "etc", ATTRIBUTE)
    file = root / "etc/selinux/config"
    file.unlink()
    if config is not None:
        file.write_text(config)
    label(root)
    assert not (root / ".autorelabel").exists()
