"""What every ImageStore does: the fake, and the real one on local files."""

import hashlib
import io
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from kadeploy_deployer.adapters.image_directories import ImageDirectories
from kadeploy_deployer.adapters.image_download import ImageDownloads
from kadeploy_deployer.adapters.image_hosts import ImageHosts
from kadeploy_deployer.adapters.image_store import FileImageStore
from kadeploy_deployer.domain.snapshot import EnvironmentSnapshot, FileSnapshot
from kadeploy_deployer.domain.vocabulary import BootKind
from kadeploy_deployer.ports import DigestDiffers, ImageError, ImageStore
from tests.fakes.fake_image_store import FakeImageStore


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A store, how a file gets to where it looks, a URI where it finds none, and one at which it does not look."""

    store: ImageStore
    add: Callable[[bytes], FileSnapshot]
    absent: str
    refused: str


def fake(directory: Path) -> Subject:
    store = FakeImageStore(directory)
    store.refused["file:///elsewhere"] = "it lies elsewhere"
    return Subject(
        store=store,
        add=lambda content: store.add("file:///image", content),
        absent="file:///absent",
        refused="file:///elsewhere",
    )


def real(directory: Path) -> Subject:
    path = directory / "images" / "image"
    path.parent.mkdir()

    def add(content: bytes) -> FileSnapshot:
        path.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        return FileSnapshot(uri=path.as_uri(), digest=f"sha256:{digest}", size_bytes=len(content))

    store = FileImageStore(
        directory / "cache",
        directories=ImageDirectories([directory / "images"]),
        downloads=ImageDownloads(ImageHosts()),
    )
    return Subject(
        store=store, add=add, absent=(path.parent / "absent").as_uri(), refused=(directory / "elsewhere").as_uri()
    )


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


async def test_a_file_is_open_while_it_is_held_and_no_longer(subject: Subject) -> None:
    async with subject.store.fetch(subject.add(b"content"), user="alice") as opened:
        assert (opened.size(), opened.read_at(3, 100)) == (7, b"tent")
    with pytest.raises(OSError, match="was closed"):
        opened.read_at(0, 1)


async def test_another_digest_than_registered_is_told_with_both(subject: Subject) -> None:
    file = subject.add(b"content")
    wrong = replace(file, digest="sha256:" + "0" * 64)
    with pytest.raises(DigestDiffers) as caught:
        async with subject.store.fetch(wrong, user="alice"):
            pass
    assert file.digest in str(caught.value)
    assert wrong.digest in str(caught.value)


async def test_a_file_that_is_not_there_is_an_image_error(subject: Subject) -> None:
    absent = replace(subject.add(b"content"), uri=subject.absent)
    subject.store.check(absent)
    with pytest.raises(ImageError):
        async with subject.store.fetch(absent, user="alice"):
            pass


async def test_an_address_that_the_site_does_not_allow_is_refused_with_the_same_words_by_all_calls(
    subject: Subject,
) -> None:
    elsewhere = replace(subject.add(b"content"), uri=subject.refused)
    told = []
    with pytest.raises(ImageError) as caught:
        subject.store.check(elsewhere)
    told.append(str(caught.value))
    with pytest.raises(ImageError) as caught:
        async with subject.store.fetch(elsewhere, user="alice"):
            pass
    told.append(str(caught.value))
    with pytest.raises(ImageError) as caught:
        await subject.store.boot_files(environment(elsewhere, initrd=""), user="alice")
    assert {*told, str(caught.value)} == {told[0]}


@pytest.mark.parametrize("initrd", ["/boot/initrd.img", ""])
async def test_boot_files_come_with_their_digests(subject: Subject, initrd: str) -> None:
    image = subject.add(archive("boot/vmlinuz", "boot/initrd.img"))
    found = await subject.store.boot_files(environment(image, initrd=initrd), user="alice")
    assert found.kernel_digest == f"sha256:{hashlib.sha256(found.kernel.read_bytes()).hexdigest()}"
    if initrd:
        assert found.initrd is not None
        assert found.initrd_digest == f"sha256:{hashlib.sha256(found.initrd.read_bytes()).hexdigest()}"
    else:
        assert (found.initrd, found.initrd_digest) == (None, "")


async def test_a_hypervisor_comes_with_its_kernel(subject: Subject) -> None:
    image = subject.add(archive("boot/vmlinuz", "boot/initrd.img", "boot/xen.gz"))
    plain = await subject.store.boot_files(environment(image, initrd=""), user="alice")
    assert (plain.hypervisor, plain.hypervisor_digest) == (None, "")
    xen = replace(environment(image, initrd=""), boot_kind=BootKind.MULTIBOOT, hypervisor_path="/boot/xen.gz")
    found = await subject.store.boot_files(xen, user="alice")
    assert found.hypervisor is not None
    assert found.hypervisor_digest == f"sha256:{hashlib.sha256(found.hypervisor.read_bytes()).hexdigest()}"
    assert found.kernel_digest == plain.kernel_digest != found.hypervisor_digest


async def test_boot_files_of_an_image_that_is_not_there_are_an_image_error(subject: Subject) -> None:
    image = replace(subject.add(b"content"), uri=subject.absent)
    with pytest.raises(ImageError):
        await subject.store.boot_files(environment(image, initrd=""), user="alice")
