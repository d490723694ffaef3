"""Finding the labs of this checkout, also those that a crash left."""

from pathlib import Path

import pytest

from kadeploy_lab import checkout, network, plan


@pytest.fixture(autouse=True)
def empty_host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(network, "namespaces", list)
    monkeypatch.setattr(plan, "RUN_ROOT", tmp_path / "run")


def test_labs_are_found_by_their_state_files(tmp_path: Path) -> None:
    for name in ("demo", "test-a"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "state.json").touch()
    (tmp_path / "ended").mkdir()

    assert checkout.known_labs(tmp_path) == ["demo", "test-a"]


def test_a_lab_whose_directory_was_deleted_is_found_by_its_namespace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    namespace = plan.namespace("my-demo", tmp_path / "my-demo")
    monkeypatch.setattr(network, "namespaces", lambda: [namespace])

    assert checkout.known_labs(tmp_path) == ["my-demo"]


def test_a_lab_of_another_checkout_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    namespace = plan.namespace("demo", Path("/somewhere/else/demo"))
    monkeypatch.setattr(network, "namespaces", lambda: [namespace, "kalab-x", "kalab-"])

    assert checkout.known_labs(tmp_path) == []


def test_a_run_directory_alone_is_enough_to_find_a_lab(tmp_path: Path) -> None:
    plan.run_directory("demo", tmp_path / "demo").mkdir(parents=True)

    assert checkout.known_labs(tmp_path) == ["demo"]
