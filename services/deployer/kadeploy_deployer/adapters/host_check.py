"""Checks what the deployer needs of its host, as its settings name it."""

import shutil
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncssh

from kadeploy_database.access import SqliteAccess
from kadeploy_deployer.domain.host_finding import HostFinding, bad, good, warning
from kadeploy_deployer.settings import Settings
from kadeploy_edge.tls import UnusableCertificate, read_material

LEAST_FREE_BYTES = 1 << 30
LEAST_FREE_SHARE = 0.05
MOST_SECONDS_APART = 2.0
WARN_BEFORE = timedelta(days=30)
GIBIBYTE = 1 << 30


def check_host(settings: Settings, *, database_time: float) -> Sequence[HostFinding]:
    """Returns a finding for each thing. `database_time`: the present as the database has it, in seconds since 1970."""
    return [
        *_keys(settings),
        *_deployment_keys(settings.deployment_host_keys),
        *_space(settings),
        *_directories(settings),
        _clock(database_time),
        *_certificate(settings),
    ]


def _keys(settings: Settings) -> Iterator[HostFinding]:
    subject = "ssh key of the cluster"
    try:
        private = asyncssh.read_private_key(settings.ssh_private_key)
        public = asyncssh.read_public_key(settings.ssh_public_key)
    except (OSError, asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        yield bad(subject, str(error), "The deployer must be able to read it, without a passphrase: docs/install.md.")
        return
    if private.public_data != public.public_data:
        text = f"{settings.ssh_public_key} is not the public half of {settings.ssh_private_key}"
        yield bad(subject, text, f"`ssh-keygen -y -f {settings.ssh_private_key}` prints the right one.")
    else:
        yield good(subject, f"{settings.ssh_private_key} and its public half fit")


def _deployment_keys(path: Path) -> Iterator[HostFinding]:
    subject = "key of the deployment environment"
    advice = "Its build leaves it beside kernel and initrd: docs/deployment-environment.md."
    try:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
        for line in lines:
            asyncssh.import_public_key(line)
    except (OSError, UnicodeDecodeError, asyncssh.KeyImportError) as error:
        yield bad(subject, f"{path}: {error}", advice)
        return
    yield good(subject, f"{len(lines)} in {path}") if lines else bad(subject, f"{path} holds none", advice)


def _space(settings: Settings) -> Iterator[HostFinding]:
    places = {"cache of images": settings.cache_directory}
    if isinstance(settings.database, SqliteAccess):
        places["database"] = settings.database.path.parent
    for name, place in places.items():
        subject = f"disk of the {name}"
        try:
            usage = shutil.disk_usage(place)
        except OSError as error:
            yield bad(subject, f"{place}: {error.strerror}", "Make the directory, or correct the settings.")
            continue
        text = f"{usage.free / GIBIBYTE:.1f} of {usage.total / GIBIBYTE:.1f} GiB are free in {place}"
        if usage.free < min(LEAST_FREE_BYTES, usage.total * LEAST_FREE_SHARE):
            yield bad(subject, text, "Make room, or move it to a larger disk.")
        else:
            yield good(subject, text)


def _directories(settings: Settings) -> Iterator[HostFinding]:
    for place in settings.images.directories:
        subject = f"images in {place}"
        if place.is_dir():
            yield good(subject, "is a directory")
        else:
            yield warning(subject, "is no directory", "Make it, or take it out of image_directories.")


def _clock(database_time: float) -> HostFinding:
    apart = abs(database_time - time.time())
    if apart > MOST_SECONDS_APART:
        text = f"{apart:.0f} s from the database's"
        return bad("clock of the deployer", text, "Let chrony or systemd-timesyncd keep the time on both hosts.")
    return good("clock of the deployer", f"{apart:.1f} s from the database's")


def _certificate(settings: Settings) -> Iterator[HostFinding]:
    if settings.tls is None:
        return
    subject, advice = "certificate of the deployer as a caller", "`ka pki renew service deployer` makes a new one."
    try:
        end = read_material(settings.tls).leaf.not_valid_after_utc
    except UnusableCertificate as error:
        yield bad(subject, error.message, advice)
        return
    text = f"counts until {end:%Y-%m-%d %H:%M} UTC"
    yield warning(subject, text, advice) if end - datetime.now(UTC) < WARN_BEFORE else good(subject, text)
