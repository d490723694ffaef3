"""Unused boot files go by themselves while bootctl serves."""

import threading
from datetime import UTC, datetime

import pytest

from kadeploy_bootctl.app.collector import Collector
from kadeploy_bootctl.domain.boot_file import BootFile
from kadeploy_bootctl.domain.errors import NoSpace

PATIENCE = 20.0
FILE = BootFile(
    digest=f"sha256:{'a' * 64}",
    size=1,
    description="kernel of debian",
    create_time=datetime(2026, 1, 1, tzinfo=UTC),
    last_upload_time=datetime(2026, 1, 1, tzinfo=UTC),
)


def test_it_collects_again_and_again_and_tells_what_went(caplog: pytest.LogCaptureFixture) -> None:
    often = threading.Semaphore(0)

    def collect() -> list[BootFile]:
        often.release()
        return [FILE]

    with caplog.at_level("INFO"), Collector(collect, pause=0.001):
        assert all(often.acquire(timeout=PATIENCE) for _ in range(3))
    assert f"collected {FILE.digest}, which no entry names (kernel of debian)" in caplog.text


@pytest.mark.parametrize("problem", [OSError(5, "Input/output error"), NoSpace("PXEClient", 2)])
def test_a_collection_that_fails_is_told_and_tried_again(caplog: pytest.LogCaptureFixture, problem: Exception) -> None:
    again = threading.Event()
    runs: list[None] = []

    def collect() -> list[BootFile]:
        runs.append(None)
        if len(runs) == 1:
            raise problem
        again.set()
        return []

    with caplog.at_level("WARNING"), Collector(collect, pause=0.001):
        assert again.wait(PATIENCE)
    assert "unused boot files cannot be collected" in caplog.text


def test_it_ends_at_once_however_long_it_would_pause() -> None:
    with Collector(list, pause=3600.0) as collector:
        pass
    assert collector.has_ended
