"""What the deployer says of its own host: all is well, and each thing broken once."""

import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest

from kadeploy_database.access import SqliteAccess
from kadeploy_deployer.adapters.host_check import check_host
from kadeploy_deployer.domain.host_finding import FindingState, HostFinding
from kadeploy_deployer.image_settings import ImageSettings
from kadeploy_deployer.settings import Settings
from tests.fakes.site_certificates import SiteCertificates


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(tmp_path / "key")
    key.write_public_key(tmp_path / "key.pub")
    shutil.copy(tmp_path / "key.pub", tmp_path / "hosts.pub")
    (tmp_path / "cache").mkdir()
    (tmp_path / "images").mkdir()
    return Settings(
        database=SqliteAccess(path=tmp_path / "state.db"),
        ssh_private_key=tmp_path / "key",
        ssh_public_key=tmp_path / "key.pub",
        deployment_host_keys=tmp_path / "hosts.pub",
        cache_directory=tmp_path / "cache",
        images=ImageSettings(directories=(tmp_path / "images",)),
        tls=SiteCertificates(tmp_path / "pki").issue("service", "deployer", days=100),
    )


def look(settings: Settings, *, ahead: float = 0.0) -> dict[str, HostFinding]:
    return {each.subject: each for each in check_host(settings, database_time=time.time() + ahead)}


def test_a_host_that_is_well_has_good_findings_alone(settings: Settings) -> None:
    found = look(settings)
    assert {each.state for each in found.values()} == {FindingState.GOOD}, found
    assert len(found) == 7


def other_key(settings: Settings) -> Settings:
    asyncssh.generate_private_key("ssh-ed25519").write_public_key(settings.ssh_public_key)
    return settings


def no_key(settings: Settings) -> Settings:
    settings.ssh_private_key.unlink()
    return settings


def no_host_key(settings: Settings) -> Settings:
    settings.deployment_host_keys.write_text("# none\n")
    return settings


def broken_host_key(settings: Settings) -> Settings:
    settings.deployment_host_keys.write_text("ssh-ed25519 nonsense\n")
    return settings


def no_cache(settings: Settings) -> Settings:
    settings.cache_directory.rmdir()
    return settings


def no_images(settings: Settings) -> Settings:
    return replace(settings, images=ImageSettings(directories=(settings.cache_directory / "gone",)))


def short_certificate(settings: Settings) -> Settings:
    pki = SiteCertificates(settings.cache_directory.parent / "pki2")
    return replace(settings, tls=pki.issue("service", "deployer", days=5))


def no_certificate(settings: Settings) -> Settings:
    assert settings.tls is not None
    settings.tls.certificate.unlink()
    return settings


@pytest.mark.parametrize(
    ("break_it", "subject", "state", "words"),
    [
        (other_key, "ssh key of the cluster", FindingState.BAD, "is not the public half of"),
        (no_key, "ssh key of the cluster", FindingState.BAD, "No such file"),
        (no_host_key, "key of the deployment environment", FindingState.BAD, "holds none"),
        (broken_host_key, "key of the deployment environment", FindingState.BAD, "hosts.pub: "),
        (no_cache, "disk of the cache of images", FindingState.BAD, "No such file"),
        (no_images, "images in ", FindingState.WARNING, "is no directory"),
        (short_certificate, "certificate of the deployer", FindingState.WARNING, "counts until"),
        (no_certificate, "certificate of the deployer", FindingState.BAD, "cannot be read"),
    ],
)
def test_what_is_broken_is_named_and_says_what_to_do(
    settings: Settings, break_it: Callable[[Settings], Settings], subject: str, state: FindingState, words: str
) -> None:
    found = look(break_it(settings))
    (broken,) = [each for each in found.values() if each.state is not FindingState.GOOD]
    assert broken.subject.startswith(subject)
    assert broken.state is state
    assert words in broken.description
    assert broken.advice.endswith((".", "one."))


def test_a_full_disk_and_a_clock_that_is_wrong_are_bad(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert look(settings, ahead=60)["clock of the deployer"].description.startswith("60 s from the database's")
    usage = shutil.disk_usage(settings.cache_directory)._replace(free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    full = [each.subject for each in look(settings).values() if each.state is FindingState.BAD]
    assert full == ["disk of the cache of images", "disk of the database"]
