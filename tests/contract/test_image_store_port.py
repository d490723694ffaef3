"""What every ImageStore does: the fake, and the real one on local files."""

import hashlib
import io
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from kadeploy_deployer.adapters.image_store import FileImageStore
from kadeploy_deployer.domain.snapshot import EnvironmentSnapshot, FileSnapshot
from kadeploy_deployer.domain.vocabulary import BootKind
from kadeploy_deployer.ports import DigestDiffers, ImageError, ImageStore
from tests.fakes.fake_image_store import FakeImageStore


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A store, how a file gets to where it looks, and a URI where it finds none."""

    store: ImageStore
    add: Callable[[bytes], FileSnapshot]
    absent: str


def fake(directory: Path) -> Subject:
    store = FakeImageStore(directory)
    return Subject(store=store, add=lambda content: store.add("file:///image", content), absent="file:///absent")


def real(directory: Path) -> Subject:
    path = directory / "image"

    def add(content: bytes) -> FileSnapshot:
        path.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        return FileSnapshot(uri=path.as_uri(), digest=f"sha256:{digest}", size_bytes=len(content))

    return Subject(store=FileImageStore(directory / "cache"), add=add, absent=(directory / "absent").as_uri())


@pytest.fixture(params=[fake, real], ids=["fake", "real"])
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Subject:
    made: Subject = request.param(tmp_path)
    return made


def archive(*names: str) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as made:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(name)
            made.addfile(member, io.BytesIO(name.encode()))
    return content.getvalue()


def environment(image: FileSnapshot, *, initrd: str) -> EnvironmentSnapshot:
    return EnvironmentSnapshot(
        name="debian", version=1, owner="root", image=image, kernel_path="/boot/vmlinuz", initrd_path=initrd
    )


async def test_a_registered_file_is_given_with_its_content(subject: Subject) -> None:
    path = await subject.store.fetch(subject.add(b"content"))
    assert path.read_bytes() == b"content"


async def test_the_content_of_a_registered_file_is_read(subject: Subject) -> None:
    assert await subject.store.read(subject.add(b"content")) == b"content"
    with pytest.raises(DigestDiffers):
        await subject.store.read(replace(subject.add(b"content"), digest="sha256:" + "0" * 64))


async def test_another_digest_than_registered_is_told_with_both(subject: Subject) -> None:
    file = subject.add(b"content")
    wrong = replace(file, digest="sha256:" + "0" * 64)
    with pytest.raises(DigestDiffers) as caught:
        await subject.store.fetch(wrong)
    assert file.digest in str(caught.value)
    assert wrong.digest in str(caught.value)


async def test_a_file_that_is_not_there_is_an_image_error(subject: Subject) -> None:
    with pytest.raises(ImageError):
        await subject.store.fetch(replace(subject.add(b"content"), uri=subject.absent))


@pytest.mark.parametrize("initrd", ["/boot/initrd.img", ""])
async def test_boot_files_come_with_their_digests(subject: Subject, initrd: str) -> None:
    image = subject.add(archive("boot/vmlinuz", "boot/initrd.img"))
    found = await subject.store.boot_files(environment(image, initrd=initrd))
    assert found.kernel_digest == f"sha256:{hashlib.sha256(found.kernel.read_bytes()).hexdigest()}"
    if initrd:
        assert found.initrd is not None
        assert found.initrd_digest == f"sha256:{hashlib.sha256(found.initrd.read_bytes()).hexdigest()}"
    else:
        assert (found.initrd, found.initrd_digest) == (None, "")


async def test_a_hypervisor_comes_with_its_kernel(subject: Subject) -> None:
    image = subject.add(archive("boot/vmlinuz", "boot/initrd.img", "boot/xen.gz"))
    plain = await subject.store.boot_files(environment(image, initrd=""))
    assert (plain.hypervisor, plain.hypervisor_digest) == (None, "")
    xen = replace(environment(image, initrd=""), boot_kind=BootKind.MULTIBOOT, hypervisor_path="/boot/xen.gz")
    found = await subject.store.boot_files(xen)
    assert found.hypervisor is not None
    assert found.hypervisor_digest == f"sha256:{hashlib.sha256(found.hypervisor.read_bytes()).hexdigest()}"
    assert found.kernel_digest == plain.kernel_digest != found.hypervisor_digest


async def test_boot_files_of_an_image_that_is_not_there_are_an_image_error(subject: Subject) -> None:
    image = replace(subject.add(b"content"), uri=subject.absent)
    with pytest.raises(ImageError):
        await subject.store.boot_files(environment(image, initrd=""))
