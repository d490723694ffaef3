"""Finds the layers of a container image: an OCI layout, an archive of docker save or podman save, or one of a registry.

Every blob is compared with the digest that it is named by. Nothing of an image is run.
"""

import hashlib
import json
import platform
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from kadeploy_cli.terminal.failures import UsageFailure

INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "ppc64le": "ppc64le"}
MOST_LAYERS = 512
MOST_DOCUMENT_BYTES = 16 << 20
REGISTRY = "docker://"
COPY_SECONDS = 3600.0
PART_BYTES = 1 << 20


@contextmanager
def layers_of(image: str) -> Iterator[Sequence[Path]]:
    """Yields the layers of an image as files, the lowest first. Raises UsageFailure.

    Args:
        image: a directory, an archive, or "docker://HOST/NAME:TAG".
    """
    with TemporaryDirectory(prefix="kadeploy-oci-") as name:
        scratch = Path(name)
        place = _fetched(image, scratch) if image.startswith(REGISTRY) else Path(image)
        if place.is_file():
            place = _unpacked(place, scratch / "archive")
        if (place / "index.json").is_file():
            yield _of_layout(place)
        elif (place / "manifest.json").is_file():
            yield _of_docker_archive(place)
        else:
            raise UsageFailure(
                f"{image} is no container image: neither an OCI layout nor an archive of docker save or podman save",
                advice=f"An image of a registry is {REGISTRY}HOST/NAME:TAG.",
            )


def _fetched(image: str, scratch: Path) -> Path:
    """Copies an image of a registry by skopeo, which knows the ways of registries and their credentials."""
    program = shutil.which("skopeo")
    if program is None:
        raise UsageFailure(
            f"{image} cannot be fetched: skopeo is not installed here",
            advice="Install it, or save the image where it is: podman save --format oci-archive, or docker save.",
        )
    target = scratch / "layout"
    command = [program, "copy", "--quiet", image, f"oci:{target}:image"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=COPY_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise UsageFailure(f"{image} was not fetched within {COPY_SECONDS:g} s") from None
    if done.returncode:
        raise UsageFailure(f"{image} cannot be fetched: {done.stderr.strip().splitlines()[-1:] or 'skopeo failed'}")
    return target


def _unpacked(archive: Path, directory: Path) -> Path:
    """Unpacks the archive of an image, which holds plain files and directories alone."""
    directory.mkdir()
    try:
        with tarfile.open(archive) as content:
            for member in content:
                if member.issym():
                    # docker save links one layer to another of the same content.
                    _link(directory, member)
                elif member.isreg():
                    _extract(content, member, directory)
    except (tarfile.TarError, OSError) as error:
        raise UsageFailure(f"{archive} cannot be read as the archive of an image: {error}") from None
    return directory


def _extract(content: tarfile.TarFile, member: tarfile.TarInfo, directory: Path) -> None:
    place = _place(directory, member)
    file = content.extractfile(member)
    if file is not None:
        with file, place.open("wb") as out:
            shutil.copyfileobj(file, out, PART_BYTES)


def _place(directory: Path, member: tarfile.TarInfo) -> Path:
    """Returns where a member goes, its directory made. Raises UsageFailure for one that would lie outside."""
    path = PurePosixPath(member.name)
    place = directory / path
    if path.is_absolute() or ".." in path.parts or not place.parent.resolve().is_relative_to(directory.resolve()):
        raise UsageFailure(f"{member.name} in the archive lies outside of it")
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_symlink():
        raise UsageFailure(f"{member.name} stands twice in the archive")
    return place


def _link(directory: Path, member: tarfile.TarInfo) -> None:
    place = _place(directory, member)
    target = place.parent / member.linkname
    if not target.resolve().is_relative_to(directory.resolve()):
        raise UsageFailure(f"{member.name} in the archive leads outside of it")
    place.symlink_to(member.linkname)


def _of_layout(place: Path) -> list[Path]:
    manifest = _chosen(place, _document(place / "index.json"))
    return [_blob(place, each["digest"]) for each in _layers(manifest.get("layers"))]


def _chosen(place: Path, index: Mapping[str, Any], depth: int = 0) -> Mapping[str, Any]:
    """Returns the manifest of the image, of several the one for machines like this."""
    entries = [each for each in index.get("manifests", []) if isinstance(each, dict) and "digest" in each]
    wanted = ARCHITECTURES.get(platform.machine(), platform.machine())
    fitting = [each for each in entries if each.get("platform", {}).get("architecture", wanted) == wanted]
    if not fitting or depth > 3:  # noqa: PLR2004
        raise UsageFailure(f"the image has nothing for {wanted}")
    found = _document(_blob(place, fitting[0]["digest"]))
    is_index = fitting[0].get("mediaType") in INDEXES or "manifests" in found
    return _chosen(place, found, depth + 1) if is_index else found


def _of_docker_archive(place: Path) -> list[Path]:
    entries = _document(place / "manifest.json")
    if not isinstance(entries, list) or len(entries) != 1:
        raise UsageFailure("the archive has several images: save one")
    found = []
    for name in _layers(entries[0].get("Layers")):
        path = (place / str(name)).resolve()
        if not path.is_relative_to(place.resolve()) or not path.is_file():
            raise UsageFailure(f"the layer {name} is not in the archive")
        found.append(path)
    return found


def _layers(found: Any) -> list[Any]:
    if not isinstance(found, list) or not 0 < len(found) <= MOST_LAYERS:
        raise UsageFailure(f"the image has no layers, or more than {MOST_LAYERS}")
    return found


def _document(path: Path) -> Any:
    try:
        if path.stat().st_size > MOST_DOCUMENT_BYTES:
            raise UsageFailure(f"{path.name} of the image is too long")
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UsageFailure(f"{path.name} of the image cannot be read: {error}") from None


def _blob(place: Path, digest: Any) -> Path:
    """Returns the file of a digest, proved."""
    kind, _, value = str(digest).partition(":")
    if kind != "sha256" or len(value) != 64 or not set(value) <= set("0123456789abcdef"):  # noqa: PLR2004
        raise UsageFailure(f"the image names a blob by {digest}, which is no SHA-256 digest")
    path, whole = place / "blobs" / "sha256" / value, hashlib.sha256()
    try:
        with path.open("rb") as file:
            while part := file.read(PART_BYTES):
                whole.update(part)
    except OSError as error:
        raise UsageFailure(f"the blob {digest} of the image cannot be read: {error.strerror}") from None
    if whole.hexdigest() != value:
        raise UsageFailure(f"a blob of the image has other content than its name says: {digest}")
    return path
