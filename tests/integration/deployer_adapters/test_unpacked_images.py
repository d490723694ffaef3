"""Images as people pack them: what a node unpacks the deployer reads too, and the rest is refused first."""

import bz2
import gzip
import hashlib
import io
import lzma
import os
import shutil
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kabroadcast.document import DECOMPRESSORS
from kadeploy_deployer.adapters import image_archive
from kadeploy_deployer.adapters.image_archive import extract
from kadeploy_deployer.adapters.packed_files import begins_as
from kadeploy_deployer.adapters.unpacked_stream import PROGRAMS, UnpackedStream
from kadeploy_deployer.adapters.verifying_reader import VerifyingReader
from kadeploy_deployer.domain.snapshot import FileSnapshot
from kadeploy_deployer.domain.vocabulary import Compression
from kadeploy_deployer.ports import ImageError, OpenedFile

pytestmark = pytest.mark.integration

KERNEL = b"kernel" * 5000
PACK: dict[Compression, Callable[[bytes], bytes]] = {
    Compression.GZIP: gzip.compress,
    Compression.BZIP2: bz2.compress,
    Compression.XZ: lzma.compress,
    Compression.ZSTD: lambda content: run("zstd", "-qc", content=content),
}


def run(*command: str, content: bytes = b"") -> bytes:
    return subprocess.run(command, input=content, capture_output=True, check=True, timeout=60).stdout


def tar(tmp_path: Path, *options: str) -> bytes:
    root = tmp_path / "root"
    (root / "boot").mkdir(parents=True, exist_ok=True)
    (root / "boot/vmlinuz-6.1").write_bytes(KERNEL)
    (root / "vmlinuz").unlink(missing_ok=True)
    (root / "vmlinuz").symlink_to("boot/vmlinuz-6.1")
    return run("tar", "-c", *options, "-C", str(root), ".")


def kernel_of(tmp_path: Path, content: bytes, compression: Compression) -> bytes:
    file = tmp_path / "an image without a suffix"
    file.write_bytes(content)
    registered = FileSnapshot(
        uri=file.as_uri(),
        digest=f"sha256:{hashlib.sha256(content).hexdigest()}",
        size_bytes=len(content),
        compression=compression,
    )
    target = tmp_path / "out"
    target.mkdir(exist_ok=True)
    image = OpenedFile.open(file, name=file.as_uri())
    assert image is not None
    with image:
        extract(image, registered, {target / "kernel": "/vmlinuz"}, stopped=threading.Event())
    assert [path.name for path in target.iterdir()] == ["kernel"]
    return (target / "kernel").read_bytes()


def test_the_programs_are_those_of_the_nodes() -> None:
    assert dict(PROGRAMS) == DECOMPRESSORS


@pytest.mark.parametrize("compression", PACK)
def test_an_archive_in_several_streams_is_read_as_on_a_node(tmp_path: Path, compression: Compression) -> None:
    content, pack = tar(tmp_path), PACK[compression]
    for cut in (1, 512, len(content) // 2, len(content) - 1):
        packed = pack(content[:cut]) + pack(content[cut:])
        assert kernel_of(tmp_path, packed, compression) == KERNEL


def test_a_window_of_zstd_that_is_larger_than_its_default_is_read(tmp_path: Path) -> None:
    content = tar(tmp_path)
    packed = run("zstd", "-qc", "--long=31", "--ultra", "-1", content=content + bytes(200 << 20))
    assert kernel_of(tmp_path, packed, Compression.ZSTD) == KERNEL


@pytest.mark.parametrize("options", [("--sparse",), ("--format=pax", "--xattrs", "--acls"), ("--format=gnu",)])
def test_archives_of_tar_with_holes_and_attributes_are_read(tmp_path: Path, options: tuple[str, ...]) -> None:
    root = tmp_path / "root"
    root.mkdir()
    with (root / "holes").open("wb") as file:
        file.truncate(8 << 20)
        file.seek(4 << 20)
        file.write(b"x")
    assert kernel_of(tmp_path, tar(tmp_path, *options), Compression.NONE) == KERNEL


def test_acls_of_star_and_bsdtar_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "star.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo("vmlinuz")
        member.size = len(KERNEL)
        acl = "user::rw-,user:alice:rw-,group::r--,mask::rw-,other::r--"
        member.pax_headers = {"SCHILY.acl.access": acl, "LIBARCHIVE.xattr.user.a": "YQ", "SCHILY.xattr.user.b": "c"}
        archive.addfile(member, io.BytesIO(KERNEL))
    assert kernel_of(tmp_path, path.read_bytes(), Compression.NONE) == KERNEL


@pytest.mark.parametrize("compression", PACK)
def test_what_a_node_could_not_unpack_is_said_in_the_program_s_words(tmp_path: Path, compression: Compression) -> None:
    packed = PACK[compression](tar(tmp_path))
    program = PROGRAMS[compression][0]
    for spoilt in (
        packed[:-20],
        packed + b"rubbish behind the end" if compression == "xz" else packed[: len(packed) // 2],
    ):
        with pytest.raises(ImageError, match=rf"no readable {compression} tar archive: .*({program}|premature end)"):
            kernel_of(tmp_path, spoilt, compression)


def test_an_image_is_read_once_for_files_in_their_usual_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    passes = []

    class Counting(VerifyingReader):
        def __init__(self, *arguments: object) -> None:
            passes.append(1)
            super().__init__(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(image_archive, "VerifyingReader", Counting)
    assert kernel_of(tmp_path, tar(tmp_path), Compression.NONE) == KERNEL
    assert len(passes) == 1


def test_a_program_whose_reader_leaves_ends_with_it(tmp_path: Path) -> None:
    file = tmp_path / "zeros.gz"
    file.write_bytes(gzip.compress(bytes(64 << 20)))
    registered = FileSnapshot(uri="x", digest="", size_bytes=0, compression=Compression.GZIP)
    stopped = threading.Event()
    image = OpenedFile.open(file, name="x")
    assert image is not None
    before = threading.active_count()

    def read_and_leave() -> None:
        packed = VerifyingReader(image, registered, stopped)
        with UnpackedStream(packed, "gzip", problem="x", stopped=stopped) as content:
            assert content.read(10) == bytes(10)
            stopped.set()
            content.read(10)

    with image, pytest.raises(ImageError, match="given up"):
        read_and_leave()
    assert threading.active_count() == before
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii").split()
    names = [Path(f"/proc/{child}/comm").read_text(encoding="ascii").strip() for child in children]
    assert "gzip" not in names


def test_a_program_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PROGRAMS, "gzip", ("/nonexistent/gzip", "-dc"))
    with pytest.raises(ImageError, match="/nonexistent/gzip"):
        kernel_of(tmp_path, gzip.compress(tar(tmp_path)), Compression.GZIP)


def test_a_bomb_costs_no_memory_and_can_be_given_up(tmp_path: Path) -> None:
    file = tmp_path / "bomb.zst"
    with file.open("wb") as out:
        packing = subprocess.Popen(("zstd", "-qc"), stdin=subprocess.PIPE, stdout=out)
        assert packing.stdin is not None
        for _ in range(300):
            packing.stdin.write(bytes(1 << 20))
        packing.stdin.close()
        packing.wait(60)
    content = file.read_bytes()
    stopped = threading.Event()
    threading.Timer(0.3, stopped.set).start()
    begin = time.monotonic()
    with pytest.raises(ImageError):
        kernel_of(tmp_path, content, Compression.ZSTD)
    assert time.monotonic() - begin < 30


@pytest.mark.parametrize(
    ("compression", "begin", "expected"),
    [
        ("none", b"anything", True),
        ("gzip", b"\x1f\x8b\x08", True),
        ("gzip", b"BZh9", False),
        ("xz", b"\xfd7zXZ\x00", True),
        ("xz", b"\x1f\x8b", False),
        ("zstd", b"\x28\xb5\x2f\xfd", True),
        ("zstd", b"\x50\x2a\x4d\x18", True),
        ("zstd", b"", False),
        ("bzip2", b"BZh9", True),
    ],
)
def test_a_file_begins_as_what_it_is(compression: str, begin: bytes, *, expected: bool) -> None:
    assert begins_as(compression, begin) is expected


def test_the_programs_are_installed_here() -> None:
    assert all(shutil.which(command[0]) for command in PROGRAMS.values() if command)
    assert shutil.which("prlimit")
