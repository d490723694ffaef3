"""The settings file, read strictly."""

from pathlib import Path

import pytest

from kadeploy_deployer.__main__ import main
from kadeploy_deployer.settings import Settings, read_settings
from kadeploy_rpckit.settings_file import BadSettings
from kadeploy_sqlkit.access import SqliteAccess
from tests.samples import check_sample

SAMPLE = Path(__file__).parents[3] / "services" / "deployer" / "deployer.toml.sample"
LEAST = {"database.deploy_state": "d.db", "ssh_private_key": "k", "deployment_host_keys": "h", "cache_directory": "c"}


def written(directory: Path, **keys: str) -> Path:
    path = directory / "deployer.toml"
    path.write_text("".join(f'{key} = "{value}"\n' for key, value in {**LEAST, **keys}.items()), encoding="utf-8")
    return path


def test_paths_are_relative_to_the_file_and_the_rest_has_defaults(tmp_path: Path) -> None:
    settings = Settings.load(written(tmp_path))

    assert settings.database == SqliteAccess(path=tmp_path / "d.db")
    assert settings.ssh_public_key == tmp_path / "k.pub"
    assert settings.address == "127.0.0.1:7402"
    assert settings.lease_seconds == 30.0


def test_the_sample_documents_every_key_with_its_default() -> None:
    settings = check_sample(SAMPLE, read_settings)
    assert (settings.lease_seconds, settings.longest_wait_hours) == (30, 24)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('colour = "red"', "the key colour is not known"),
        ("lease_seconds = 1", "lease_seconds must be a number from 3 to 3600, not 1"),
        ("longest_wait_hours = 721", "longest_wait_hours must be a number from 0 to 720, not 721"),
        ('administrators = "root"', "administrators must be a list of names"),
        ("[broadcast]\nnode_port = 0", "broadcast.node_port must be a whole number from 1 to 65535, not 0"),
        ('[broadcast]\nmethod = "ftp"', "broadcast.method must be"),
        ("[broadcast]\nmemory_percent = 91", "broadcast.memory_percent must be a whole number from 0 to 90, not 91"),
        ("[broadcast]\nspeed = 1", "the key broadcast.speed is not known"),
        ("address = ", "is no TOML"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_sentence_with_file_and_key(
    tmp_path: Path, line: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path)
    path.write_text(path.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")

    with pytest.raises(BadSettings) as caught:
        Settings.load(path)
    status = main(["serve", "--config", str(path)])

    assert sentence in str(caught.value)
    assert str(path) in str(caught.value)
    assert status == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_missing_key_and_a_missing_file_are_told(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="cannot be read"):
        Settings.load(tmp_path / "nowhere.toml")
    path = tmp_path / "deployer.toml"
    path.write_text('database.deploy_state = "d.db"\n', encoding="utf-8")
    with pytest.raises(BadSettings, match="ssh_private_key is missing"):
        Settings.load(path)


def test_serving_without_a_key_ends_with_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--config", str(written(tmp_path))]) == 1
    assert "kadeploy-deployer: " in capsys.readouterr().err
