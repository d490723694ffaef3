"""inventory.toml: every key, and each wrong line in one sentence."""

from pathlib import Path

import pytest

from kadeploy_database.access import SqliteAccess
from kadeploy_edge.settings_file import BadSettings
from kadeploy_inventory.domain.environment_quota import EnvironmentQuota
from kadeploy_inventory.settings import Settings, read_settings
from tests.samples import check_sample

DATABASES = 'database.deploy = "a.db"\ndatabase.deploy_right = "/var/b.db"\n'
SAMPLE = Path(__file__).parents[3] / "services" / "inventory" / "inventory.toml.sample"


def load(tmp_path: Path, text: str) -> Settings:
    path = tmp_path / "inventory.toml"
    path.write_text(text)
    return Settings.load(path)


def test_a_path_is_a_file_beside_the_settings(tmp_path: Path) -> None:
    settings = load(tmp_path, DATABASES)
    assert settings.deploy_database == SqliteAccess(path=tmp_path / "a.db")
    assert settings.deploy_right_database == SqliteAccess(path=Path("/var/b.db"))
    assert settings.address == "127.0.0.1:7401"
    assert settings.administrators == {"root"}
    assert settings.environment_quota == EnvironmentQuota(environments=1000, versions=100)


def test_every_key_can_be_set(tmp_path: Path) -> None:
    text = f'{DATABASES}address = "unix:/run/x"\nadministrators = ["alice"]\nmaximum_workers = 4\n'
    quotas = "[quotas]\nenvironments_per_user = 7\nversions_per_environment = 3\n"
    settings = load(tmp_path, text + quotas)
    assert settings.environment_quota == EnvironmentQuota(environments=7, versions=3)
    assert (settings.address, settings.maximum_workers) == ("unix:/run/x", 4)
    assert settings.administrators == {"alice"}


def test_logins_are_off_until_the_settings_have_them(tmp_path: Path) -> None:
    assert load(tmp_path, DATABASES).login is None
    files = 'certificate = "login.pem"\nprivate_key = "login.key"\n'
    login = load(tmp_path, f"{DATABASES}[login]\n{files}").login
    assert login is not None
    assert (login.address, login.hours, login.least_uid, login.munge_socket) == ("", 12, 1000, None)
    login = load(tmp_path, f'{DATABASES}[login]\n{files}address = "h:1"\nhours = 8\nmunge_socket = "s"\n').login
    assert login is not None
    assert (login.address, login.hours, login.munge_socket) == ("h:1", 8, tmp_path / "s")
    with pytest.raises(BadSettings, match="hours must be a whole number from 8 to 24"):
        load(tmp_path, f"{DATABASES}[login]\n{files}hours = 25\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{DATABASES}adress = 'x'", "adress is not known"),
        (f"{DATABASES}quotas.environments_per_user = 0", "environments_per_user"),
        (f"{DATABASES}quotas.versions = 3", "versions is not known"),
        ("database.deploy = 'a'", "database.deploy_right is missing"),
        ("database.deploy = 'a'\ndatabase.deploy_right = './a'", "must be two databases"),
        (f"{DATABASES}administrators = 'root'", "administrators must be a list"),
        (f"{DATABASES}maximum_workers = true", "maximum_workers must be a whole number"),
        (f"{DATABASES}maximum_workers = 0", "maximum_workers must be a whole number"),
        (f"{DATABASES}address = ''", "address must be a text"),
        ("a b", "is no TOML"),
    ],
)
def test_a_bad_setting_is_told_with_file_and_key(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BadSettings) as complaint:
        load(tmp_path, text)
    assert said in str(complaint.value)
    assert "inventory.toml" in str(complaint.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="cannot be read"):
        Settings.load(tmp_path / "none.toml")


def test_the_sample_documents_every_key_with_its_default() -> None:
    assert check_sample(SAMPLE, read_settings).maximum_workers == 16
