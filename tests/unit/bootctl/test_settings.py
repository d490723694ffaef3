"""Settings are read strictly; the sample shows every key."""

import re
from pathlib import Path

import pytest

from kadeploy_bootctl.bootstrap import layout_of, site_of
from kadeploy_bootctl.settings import Serial, Settings, read_settings
from kadeploy_edge.settings_file import BadSettings
from tests.samples import check_sample

SAMPLE = Path(__file__).parents[3] / "services" / "bootctl" / "bootctl.toml.sample"
ROOT = 'tftp_root = "/srv/tftp"\n'


def load(tmp_path: Path, text: str) -> Settings:
    path = tmp_path / "bootctl.toml"
    path.write_text(text)
    return Settings.load(path)


def test_a_root_is_enough(tmp_path: Path) -> None:
    settings = load(tmp_path, ROOT)
    layout = layout_of(settings)
    assert layout.public_directories == (
        "PXEClient/pxelinux.cfg",
        "PXEClient/images_grub",
        "X86PC/linux/pxelinux.cfg",
        "X86PC/linux/images_grub",
    )
    assert [place.loader for place in layout.repositories] == ["pxelinux.0", "linux.0"]
    assert list(settings.labels) == ["deploy"]
    assert settings.address == "127.0.0.1:7403"


def test_the_sample_documents_every_key() -> None:
    settings = check_sample(SAMPLE, read_settings)
    assert settings.serial is None
    assert settings.labels["deploy"].arguments == ""


def test_what_the_sample_has_behind_comment_signs_can_be_used(tmp_path: Path) -> None:
    shown = re.sub(r"(?m)^# (?=\[|[a-z_]+ = )", "", SAMPLE.read_text())
    settings = load(tmp_path, shown.partition("\n[tls]")[0])
    assert settings.serial == Serial(port=0, speed=115200)
    assert site_of(settings).serial == "0 115200"
    assert settings.labels["deploy"].arguments == "console=tty0 console=ttyS0,115200"
    assert settings.http_url == "http://192.0.2.2/tftp"


def test_labels_are_read(tmp_path: Path) -> None:
    settings = load(tmp_path, ROOT + '[labels.rescue]\nkernel = "k"\ninitrd = "i"\narguments = "quiet"\n')
    label = settings.labels["rescue"]
    assert (label.name, label.kernel, label.initrd, label.arguments) == ("rescue", "k", "i", "quiet")
    assert "deploy" not in settings.labels


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "tftp_root"),
        ('tftp_root = "srv"', "absolute"),
        ("tftp_root = ", "no TOML"),
        (ROOT + 'colour = "red"', "the key colour is not known"),
        (ROOT + "address = 7403", "address must be a text"),
        (ROOT + 'tftp_repository = "/PXEClient/"', "tftp_repository must be a path below"),
        (ROOT + 'pxe_rep = "../x"', "pxe_rep must be a path below"),
        (ROOT + 'tftp_relative_path = ".."', "tftp_relative_path"),
        (ROOT + 'tftp_repository_intel = "PXEClient"', "two places"),
        (ROOT + 'pxe_rep = "images_grub"', "two places"),
        (ROOT + "maximum_workers = 0", "maximum_workers"),
        (ROOT + "maximum_workers = true", "whole number"),
        (ROOT + 'administrators = "root"', "administrators must be a list"),
        (ROOT + "administrators = [1]", "administrators must be a list"),
        (ROOT + "[serial]\nspeed = 1", "serial.speed"),
        (ROOT + "[serial]\nparity = 1", "serial.parity is not known"),
        (ROOT + 'labels.deploy = "x"', "labels.deploy must be a table"),
        (ROOT + "[labels.deploy]", "labels.deploy.kernel is missing"),
        (ROOT + '[labels.deploy]\nkernel = "../x"', "labels.deploy.kernel must be a bare file name"),
        (ROOT + '[labels.deploy]\nkernel = "sha256-x"', "labels.deploy.kernel"),
        (ROOT + '[labels.deploy]\nkernel = "k"\narguments = "a\\nb"', "labels.deploy.arguments"),
        (ROOT + '[labels."a b"]\nkernel = "k"', "labels.a b must be letters"),
        (ROOT + '[loaders]\nx = "y"', "loaders.x is not known"),
    ],
)
def test_bad_settings_are_told_with_file_and_key(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(BadSettings) as error:
        load(tmp_path, text)
    assert words in str(error.value)
    assert str(error.value).startswith(str(tmp_path / "bootctl.toml"))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="cannot be read"):
        Settings.load(tmp_path / "none.toml")
