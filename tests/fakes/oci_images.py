"""Container images for tests: layers of files, as an OCI layout or as an archive of docker save."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path

Member = tuple[str, bytes | str | None]
"""A name with a file's content, a symbolic link's target, or None for a directory."""


def layer(*members: Member, hard: Sequence[tuple[str, str]] = ()) -> bytes:
    """Returns a layer as a tar archive; `hard`: names with what they are second names of."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.mode = 0o755
            if content is None:
                member.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
            else:
                member.size = len(content)
            archive.addfile(member, io.BytesIO(content) if isinstance(content, bytes) else None)
        for name, target in hard:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.LNKTYPE, target
            archive.addfile(member)
    return made.getvalue()


def layout(directory: Path, layers: Sequence[bytes], *, architecture: str = "amd64") -> Path:
    """Writes an OCI layout with an index, and returns its directory."""
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def blob(content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return f"sha256:{digest}"

    manifest = {"schemaVersion": 2, "layers": [{"digest": blob(gzip.compress(each))} for each in layers]}
    digest = blob(json.dumps(manifest).encode())
    entry = {"digest": digest, "platform": {"architecture": architecture, "os": "linux"}}
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    return directory


def docker_archive(path: Path, layers: Sequence[bytes]) -> Path:
    """Writes what docker save writes, and returns its file."""
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    with tarfile.open(path, "w") as archive:
        manifest = json.dumps([{"Config": "c.json", "RepoTags": ["a:b"], "Layers": names}]).encode()
        for name, content in [*zip(names, layers, strict=True), ("manifest.json", manifest)]:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path
