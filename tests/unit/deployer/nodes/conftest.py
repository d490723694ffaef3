"""A workshop and its machines for each test."""

from pathlib import Path

import pytest

from tests.fakes.fake_machines import FakeMachines
from tests.fakes.step_workshop import Workshop


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


@pytest.fixture
def machines(workshop: Workshop) -> FakeMachines:
    return FakeMachines(workshop, "node-1", "node-2", "node-3")
