"""`serve --print-config`: what a service would run with, as settings that it reads again to the same effect."""

import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from kadeploy_bootctl import __main__ as bootctl
from kadeploy_bootctl.settings import Settings as BootctlSettings
from kadeploy_deployer import __main__ as deployer
from kadeploy_deployer.settings import Settings as DeployerSettings
from kadeploy_edge.limits import DEFAULTS
from kadeploy_inventory import __main__ as inventory
from kadeploy_inventory.settings import Settings as InventorySettings

SERVICES = Path(__file__).parents[2] / "services"
Main = Callable[[Sequence[str]], int]
Load = Callable[[Path], Any]

TLS = '[tls]\ncertificate = "c.pem"\nprivate_key = "/k.pem"\nca = "ca.pem"\nrevocation_list = "r.pem"\n'
ON_TCP = 'engine = "mariadb"\nhost = "db.example"\npassword_file = "p"\n'
ON_SOCKET = 'engine = "mariadb"\nsocket = "/run/s.sock"\npassword_file = "p"\n'
PLAIN = 'engine = "mariadb"\ninsecure = true\npassword_file = "p"\n'
KEYS = 'ssh_private_key = "key"\ndeployment_host_keys = "hosts"\ncache_directory = "cache"\n'
LABELS = """\
tftp_root = "/srv/tftp"
http_url = "http://192.0.2.1/t"
audit_log = "audit"
[serial]
port = 1
[labels.one]
kernel = "a"
[labels."two.x"]
kernel = "b"
initrd = "c"
arguments = "quiet x=1"
"""

CASES: dict[str, tuple[Main, Load, str]] = {
    "bootctl, least": (bootctl.main, BootctlSettings.load, 'tftp_root = "/srv/tftp"\n'),
    "bootctl, more": (
        bootctl.main,
        BootctlSettings.load,
        LABELS + TLS,
    ),
    "inventory, SQLite": (
        inventory.main,
        InventorySettings.load,
        '[database]\ndeploy = "a.db"\n[database.deploy_right]\nengine = "sqlite"\npath = "b.db"\n',
    ),
    "inventory, MariaDB": (
        inventory.main,
        InventorySettings.load,
        f"[quotas]\nenvironments_per_user = 7\n{TLS}[database.deploy]\n{ON_TCP}[database.deploy_right]\n{ON_SOCKET}",
    ),
    "deployer, SQLite": (deployer.main, DeployerSettings.load, f'{KEYS}[database]\ndeploy_state = "a.db"\n'),
    "deployer, MariaDB": (
        deployer.main,
        DeployerSettings.load,
        (
            f'{KEYS}image_directories = []\nimage_hosts = ["i.example"]\nimage_networks = ["192.0.2.0/24"]\n'
            f'administrators = ["b", "a"]\nlease_seconds = 5\n'
            f"[broadcast]\nport = 7404\n[database.deploy_state]\n{PLAIN}"
        ),
    ),
}
SAMPLES: dict[str, tuple[Main, Load]] = {
    "inventory": (inventory.main, InventorySettings.load),
    "deployer": (deployer.main, DeployerSettings.load),
    "bootctl": (bootctl.main, BootctlSettings.load),
}


def printed(main: Main, file: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["serve", "--config", str(file), "--print-config"]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("case", CASES)
def test_what_is_printed_is_read_to_the_same_settings(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main, load, text = CASES[case]
    file, again = tmp_path / "settings.toml", tmp_path / "elsewhere" / "settings.toml"
    file.write_text(text)
    again.parent.mkdir()
    again.write_text(printed(main, file, capsys))
    assert load(again) == load(file)
    assert printed(main, again, capsys) == again.read_text()


@pytest.mark.parametrize("service", SAMPLES)
def test_the_sample_is_printed_with_its_defaults(
    service: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main, load = SAMPLES[service]
    sample = SERVICES / service / f"{service}.toml.sample"
    again = tmp_path / "settings.toml"
    again.write_text(printed(main, sample, capsys))
    assert load(again) == load(sample)
    values = tomllib.loads(again.read_text())
    assert (values["administrators"], values["limits"]["calls"]) == (["root"], DEFAULTS.calls)


def test_a_file_with_a_secret_is_named_and_not_opened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "p").write_text("geheim")
    main, _, text = CASES["inventory, MariaDB"]
    file = tmp_path / "settings.toml"
    file.write_text(text)
    shown = printed(main, file, capsys)
    assert str(tmp_path / "p") in shown
    assert "geheim" not in shown


def test_settings_that_cannot_be_used_are_refused_as_by_serve(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('tftp_rot = "/srv/tftp"\n')
    assert bootctl.main(["serve", "--config", str(file), "--print-config"]) == 2
    assert "tftp_rot" in capsys.readouterr().err


@pytest.mark.parametrize("service", SAMPLES)
def test_a_service_says_its_version(service: str, capsys: pytest.CaptureFixture[str]) -> None:
    main, _ = SAMPLES[service]
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith(f"kadeploy-{service} ")
