"""client.toml: where it is looked for, and each wrong line in one sentence."""

import os
import pwd
from pathlib import Path

import pytest

from kadeploy_cli.connection import settings
from kadeploy_cli.connection.settings import Settings, SettingsFailure
from kadeploy_edge.tls import TlsFiles

WHOLE = """
user = "bob"
[inventory]
address = "127.0.0.1:7401"
[deployer]
address = "unix:/run/kadeploy/deployer.sock"
[bootctl]
address = "[::1]:7403"
[deadlines]
call = 10
silence = 2.5
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(settings.VARIABLE, raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(settings, "SYSTEM_FILE", tmp_path / "etc.toml")
    return tmp_path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_everything_in_the_file_counts(home: Path) -> None:
    read = Settings.load(write(home / "c.toml", WHOLE))
    assert read.user == "bob"
    assert read.address("deployer") == "unix:/run/kadeploy/deployer.sock"
    assert (read.deadlines.call, read.deadlines.silence, read.deadlines.reconnect) == (10.0, 2.5, 120.0)


def test_a_file_from_windows_is_read_and_one_that_is_no_text_is_told(home: Path) -> None:
    assert Settings.load(write(home / "c.toml", "\ufeffuser = 'bob'\r\n")).user == "bob"
    (home / "c.toml").write_bytes(b"user = '\xff'")
    with pytest.raises(SettingsFailure, match="is not UTF-8 text"):
        Settings.load(home / "c.toml")


def test_certificates_are_looked_for_beside_the_file_and_at_home(home: Path) -> None:
    text = '[tls]\ncertificate = "c.pem"\nprivate_key = "~/k.pem"\nca = "/etc/ca.pem"\n'
    read = Settings.load(write(home / "d" / "c.toml", text)).tls
    assert read == TlsFiles(certificate=home / "d" / "c.pem", private_key=home / "k.pem", ca=Path("/etc/ca.pem"))


def test_the_variable_wins_over_the_users_file_which_wins_over_the_systems(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(home / "etc.toml", 'user = "system"')
    assert Settings.load().user == "system"
    write(home / ".config/kadeploy/client.toml", 'user = "own"')
    assert Settings.load().user == "own"
    monkeypatch.setenv(settings.VARIABLE, str(write(home / "v.toml", 'user = "variable"')))
    assert Settings.load().user == "variable"
    assert Settings.load(write(home / "o.toml", 'user = "option"')).user == "option"


def test_without_a_user_the_one_who_runs_the_command_counts(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "carol")
    assert Settings.load(write(home / "c.toml", "")).user == pwd.getpwuid(os.geteuid()).pw_name


def test_no_file_anywhere_says_where_one_was_looked_for(home: Path) -> None:
    with pytest.raises(SettingsFailure) as caught:
        Settings.load()
    assert str(home / ".config/kadeploy/client.toml") in caught.value.message
    assert str(home / "etc.toml") in caught.value.message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("user = 3", "user must be a name"),
        ("[inventori]\naddress = 'x:1'", "inventori is not known here"),
        ("inventory = 'x:1'", "inventory is not known here"),
        ("[inventory]\nadress = 'x:1'", "[inventory] has no key adress"),
        ("[inventory]\naddress = 7401", '[inventory] address must be "host:port"'),
        ("[inventory]\naddress = 'unix:relative'", '[inventory] address must be "host:port"'),
        ("[deadlines]\ncall = 0", "[deadlines] call must be a number of seconds"),
        ("[deadlines]\ncall = true", "[deadlines] call must be a number of seconds"),
        ("user =", "is not a TOML file"),
        ("[inventory]\naddress = 'x:99999'", '[inventory] address must be "host:port"'),
        ("x" * (1 << 20) + "x", "is too long for settings"),
        ("insecure = 1", "insecure must be true or false"),
        ("[tls]\ncertificate = 'c'", "[tls] needs ca, private_key too"),
        ("[tls]\nca = 3", "[tls] ca must be a file's name in quotes"),
        ("[tls]\nkey = 'k'", "[tls] has no key key"),
    ],
)
def test_a_mistake_is_one_sentence_with_the_file(home: Path, text: str, expected: str) -> None:
    path = write(home / "c.toml", text)
    with pytest.raises(SettingsFailure) as caught:
        Settings.load(path)
    assert caught.value.message.startswith(str(path))
    assert expected in caught.value.message
