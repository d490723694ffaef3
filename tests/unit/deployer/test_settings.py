"""The settings file, read strictly."""

import grp
import stat
from ipaddress import ip_network
from pathlib import Path

import pytest

from kadeploy_database.access import SqliteAccess
from kadeploy_deployer import bootstrap, image_settings
from kadeploy_deployer.__main__ import main
from kadeploy_deployer.settings import Settings, read_settings
from kadeploy_edge.settings_file import BadSettings
from tests.samples import check_sample

SAMPLE = Path(__file__).parents[3] / "services" / "deployer" / "deployer.toml.sample"
LEAST = {"database.deploy_state": "d.db", "ssh_private_key": "k", "deployment_host_keys": "h", "cache_directory": "c"}
TLS = "[tls]\ncertificate = 't/c'\nprivate_key = 't/k'\nca = 't/a'\n"
MARIADB = "[database.deploy_state]\nengine = 'mariadb'\nsocket = '/s'\npassword_file = 'p/w'\n"


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
        ('image_directories = "/srv"', "image_directories must be a list of paths"),
        ('image_groups = ["no-such-group"]', "image_groups has no-such-group, which is no group of this host"),
        (
            'image_hosts = ["http://images.example.org"]',
            "image_hosts: 'http://images.example.org' is no server such as",
        ),
        ('image_networks = ["10.0.0.1/8"]', "image_networks: 10.0.0.1/8 has host bits set"),
        ('image_proxy = "proxy"', "image_proxy must be an address such as http://proxy.example.org:3128, not 'proxy'"),
        (
            'image_proxy = "http://user:word@p:1"',
            "image_proxy must be an address such as http://proxy.example.org:3128",
        ),
        (
            "image_download_max_gib = -1",
            "image_download_max_gib must be a number from 0 to 16384, not -1 (GiB; default 64)",
        ),
        (
            "image_download_min_mb_per_second = 0",
            "image_download_min_mb_per_second must be a number from 0.001 to 100000, not 0",
        ),
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


def test_images_are_in_one_directory_of_the_deployer_and_on_no_server_unless_the_site_says_more(tmp_path: Path) -> None:
    images = Settings.load(written(tmp_path)).images
    assert images.directories == (Path("/var/lib/kadeploy/images"),)
    assert (images.groups, images.servers, images.networks, images.proxy) == (frozenset(), (), (), "")


def test_no_directory_means_that_no_file_of_the_host_is_an_image(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_text("image_directories = []\n" + path.read_text())
    assert Settings.load(path).images.directories == ()


def test_what_the_site_says_of_images_is_read(tmp_path: Path) -> None:
    path = written(tmp_path)
    lines = [
        'image_directories = ["images", "/srv/images"]',
        f'image_groups = ["{grp.getgrgid(0).gr_name}"]',
        'image_hosts = ["images.example.org:8080", "*.example.org"]',
        'image_networks = ["10.0.0.0/8", "fd00::/8"]',
        'image_proxy = "http://proxy.example.org:3128"',
    ]
    path.write_text("\n".join([*lines, path.read_text()]))
    images = Settings.load(path).images
    assert images.directories == (tmp_path / "images", Path("/srv/images"))
    assert images.groups == {0}
    assert set(map(str, images.servers)) == {"*.example.org", "images.example.org:8080"}
    assert set(images.networks) == {ip_network("10.0.0.0/8"), ip_network("fd00::/8")}
    assert images.proxy == "http://proxy.example.org:3128"


@pytest.mark.parametrize(
    ("directory", "more", "setting"),
    [
        (".", "", "the file of the settings"),
        ("..", "", "the file of the settings"),
        ("/", "", "the file of the settings"),
        ("linked", "", "the file of the settings"),
        ("images/../", "", "the file of the settings"),
        ("images", 'ssh_private_key = "images/k"', "ssh_private_key"),
        ("images", 'ssh_private_key = "k"', "ssh_private_key"),
        ("images", 'ssh_public_key = "images/deep/er/k.pub"', "ssh_public_key"),
        ("images", 'deployment_host_keys = "images/h"', "deployment_host_keys"),
        ("images", 'audit_log = "images/audit.json"', "audit_log"),
        ("images", 'cache_directory = "images/cache"', "cache_directory"),
        ("c", "", "cache_directory"),
        ("images", '[database]\ndeploy_state = "images/d.db"', "database.deploy_state"),
        ("p", MARIADB, "database.deploy_state.password_file"),
        ("p", MARIADB.replace("p/w", "w") + "migration_password_file = 'p/m'", "database.deploy_state.migration_pass"),
        ("t", TLS.replace("t/c", "c.pem").replace("t/a", "a.pem"), "tls.private_key"),
        ("t", TLS.replace("t/k", "k.pem").replace("t/a", "a.pem"), "tls.certificate"),
        ("t", TLS.replace("t/", "") + "revocation_list = 't/r'", "tls.revocation_list"),
        ("c/images", "", "cache_directory"),
    ],
)
def test_what_is_the_deployer_s_own_is_never_below_a_directory_of_images(
    tmp_path: Path, directory: str, more: str, setting: str
) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "linked").symlink_to(tmp_path)
    (tmp_path / "images" / "real").touch()
    if more == 'ssh_private_key = "k"':
        # The key's own name lies elsewhere, and leads there.
        (tmp_path / "k").symlink_to(tmp_path / "images" / "real")
    given = {**LEAST}
    for key in [
        key for key in given if more.startswith(f"{key} ") or (key.startswith("database") and "database" in more)
    ]:
        del given[key]
    lines = [f'image_directories = ["{directory}"]', *(f'{key} = "{value}"' for key, value in given.items())]
    path = tmp_path / "deployer.toml"
    path.write_text("\n".join([more, *lines] if not more.startswith("[") else [*lines, more]), encoding="utf-8")
    with pytest.raises(BadSettings) as caught:
        Settings.load(path)
    [line] = [number for number, text in enumerate(path.read_text().split("\n"), 1) if "image_directories" in text]
    assert str(caught.value).startswith(f"{path}:{line}: image_directories has {tmp_path / directory}, ")
    assert setting in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_directory_that_is_mounted_in_two_places_is_recognised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounted, keys = tmp_path / "mounted", tmp_path / "keys"
    mounted.mkdir()
    keys.mkdir()
    same = Path.samefile
    monkeypatch.setattr(Path, "samefile", lambda one, other: {one, Path(other)} == {mounted, keys} or same(one, other))
    path = written(tmp_path, ssh_private_key="keys/k", ssh_public_key="k.pub")
    path.write_text('image_directories = ["mounted"]\n' + path.read_text())
    with pytest.raises(BadSettings, match=r"ssh_private_key, .*, lies below it"):
        Settings.load(path)


def test_the_directory_of_images_is_made_where_the_site_names_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / "lib" / "images"
    for module in (bootstrap, image_settings):
        monkeypatch.setattr(module, "DEFAULT_DIRECTORY", place)
    settings = Settings.load(written(tmp_path))
    bootstrap.make_image_directory(settings)
    assert (place.is_dir(), stat.S_IMODE(place.stat().st_mode) & 0o022) == (True, 0)
    place.rmdir()
    place.touch()
    bootstrap.make_image_directory(settings)
    assert f"the directory of images {place} cannot be made" in caplog.text
    path = written(tmp_path)
    path.write_text('image_directories = ["named"]\n' + path.read_text())
    bootstrap.make_image_directory(Settings.load(path))
    assert not (tmp_path / "named").exists()


def test_the_unit_has_the_default_directory_of_images() -> None:
    unit = (SAMPLE.parent / "systemd" / "kadeploy-deployer.service").read_text()
    [line] = [line for line in unit.splitlines() if line.startswith("StateDirectory=")]
    assert str(image_settings.DEFAULT_DIRECTORY) in {f"/var/lib/{name}" for name in line.partition("=")[2].split()}
