"""A kill -9 in the middle of a batch leaves old files or new ones, and the next start makes them agree."""

import random
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from kadeploy_bootctl import bootstrap
from kadeploy_bootctl.settings import Settings
from kadeploy_bootctl.tree.entry_store import TftpEntryStore

pytestmark = pytest.mark.integration

ROUNDS = 6
NODES = 60
WRITER = Path(__file__).with_name("endless_writer.py")
WHOLE = re.compile(r"# Written by .*\n(?:.*\n)*  APPEND console=ttyS0 begin=(\d+) x{1500} end=\1\n  IPAPPEND 2\n\Z")


def kill_while_it_writes(settings_file: Path, after: float) -> None:
    process = subprocess.Popen([sys.executable, WRITER, settings_file], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        time.sleep(after)
    finally:
        process.kill()
        process.communicate(timeout=10)


def test_a_killed_batch_leaves_no_torn_file(laid_out: Any) -> None:
    layout = bootstrap.layout_of(Settings.load(laid_out.settings_file))
    moments = random.Random(17)  # noqa: S311 - nothing secret
    interrupted = 0
    for _ in range(ROUNDS):
        kill_while_it_writes(laid_out.settings_file, moments.uniform(0.02, 0.3))
        places = [laid_out.first / "pxelinux.cfg", laid_out.second / "pxelinux.cfg"]
        machines_see = [path for place in places for path in place.iterdir() if not path.name.startswith(".")]
        for path in machines_see:
            assert path.name in {"default", "grub.cfg"} or WHOLE.match(path.read_text()), path
        interrupted += (laid_out.first / "images_grub" / ".bootctl" / "pending").exists()
        store = TftpEntryStore(layout)
        store.open()
        store.close()
        expected = {"default": None, "grub.cfg": None} | {
            Path(path).name: written.text for written in store.all() for path in store.paths(written.entry.node)
        }
        assert len(expected) == 2 * NODES + 2 or interrupted
        for place in places:
            assert {path.name for path in place.iterdir()} == set(expected)
            for name, text in expected.items():
                assert text is None or (place / name).read_text() == text
    assert interrupted, "no kill hit a batch: the test proved nothing"
