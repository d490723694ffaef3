"""`make bench-load` in small: what it measures is measured, and a trial finds no error."""

import json
import sys
from pathlib import Path

import pytest

from tests.bench import load, machine

pytestmark = [pytest.mark.integration, pytest.mark.thorough]


def test_a_short_trial_has_no_error_and_all_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "RESULTS", tmp_path)
    monkeypatch.setattr(load, "ROOT", tmp_path)
    trial = ["--watchers", "10", "--per-second", "20", "--seconds", "3", "--soak", "5"]
    monkeypatch.setattr(sys, "argv", ["bench-load", *trial])
    load.main()
    figures = json.loads((tmp_path / "load.json").read_text())
    assert (figures["load"]["errors"], figures["soak"]["errors"]) == (0, 0)
    assert figures["load"]["calls"] == 60
    assert figures["load"]["watchers_to_the_end"] == 10
    assert figures["soak"]["counts"]["deployments"] > 0
    for service in ("inventory", "deployer", "bootctl"):
        assert figures["soak"]["services"][service]["after"]["memory_mib"] > 10
        assert figures["load"]["processor_seconds"][service] >= 0
