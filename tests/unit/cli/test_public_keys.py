"""Public keys as -k names them: files, addresses, and the user's own."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadeploy_cli.deployments import public_keys
from kadeploy_cli.deployments.public_keys import DEFAULT_KEY, read_keys
from kadeploy_cli.terminal.failures import UsageFailure

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPmGGuP8Wm5bkqmzPBKjBqrwkg5bKVRAv5OTlDjsQ7bz user@example"


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    directory = tmp_path / ".ssh"
    directory.mkdir()
    return directory


def test_the_users_own_key_is_found(ssh: Path) -> None:
    with pytest.raises(UsageFailure, match="there is no public key"):
        read_keys(DEFAULT_KEY)
    (ssh / "id_rsa.pub").write_text("ssh-rsa AAAA me\n")
    (ssh / "id_ed25519.pub").write_text("ssh-ed25519 AAAB me\n")
    assert read_keys(DEFAULT_KEY) == ["ssh-ed25519 AAAB me"]


def test_who_may_log_in_here_may_log_in_there(ssh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (ssh / "authorized_keys").write_text("")
    with pytest.raises(UsageFailure, match="there is no public key"):
        read_keys(DEFAULT_KEY)
    (ssh / "authorized_keys").write_text(f"{KEY}\n# laptop\n1024 35 1234 old\nssh-rsa AAAA laptop\n")
    assert read_keys(DEFAULT_KEY) == [KEY, "ssh-rsa AAAA laptop"]
    assert "line 3 is no public key and is left out" in capsys.readouterr().err
    (ssh / "id_ed25519.pub").write_text(f"{KEY}\n")
    assert read_keys(DEFAULT_KEY) == [KEY, "ssh-rsa AAAA laptop"]


@pytest.mark.parametrize(
    "options",
    [
        "",
        "no-port-forwarding ",
        'no-port-forwarding,command="/bin/true" ',
        'command="echo  \\"two words\\"",from="10.0.0.0/8" \t ',
        'environment="A=ssh-rsa AAAA" ',
    ],
)
def test_a_key_keeps_the_options_before_it(tmp_path: Path, options: str) -> None:
    file = tmp_path / "keys"
    file.write_text(f"  {options}{KEY}\n# a comment\n\n")
    assert read_keys(str(file)) == [f"{options}{KEY}".strip()]


@pytest.mark.parametrize("line", ["hello", 'command="ssh-rsa AAAA', "ssh-rsa", "a b ssh-rsa AAAA", "restrict"])
def test_what_is_no_key_is_refused_with_its_line(tmp_path: Path, line: str) -> None:
    file = tmp_path / "keys"
    file.write_text(f"{KEY}\n{line}\n")
    with pytest.raises(UsageFailure, match=r"is not a file of public keys.*see line 2"):
        read_keys(str(file))


def test_a_private_key_is_refused(tmp_path: Path) -> None:
    key = tmp_path / "id"
    key.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nb3Blbn\n")
    with pytest.raises(UsageFailure, match="is a private key"):
        read_keys(str(key))
    key.write_text("hello\n")
    with pytest.raises(UsageFailure, match="is not a file of public keys"):
        read_keys(str(key))
    key.write_text("# nothing\n")
    with pytest.raises(UsageFailure, match="there is none in it"):
        read_keys(str(key))


@given(st.text(alphabet='ab-",\\ \t=', max_size=60))
def test_any_options_are_read_or_refused(text: str) -> None:
    assert public_keys._is_key(f"{text} {KEY}") in (True, False)


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path = self.path
        if path.startswith("/to="):
            self.send_response(302)
            self.send_header("Location", path.removeprefix("/to="))
            self.end_headers()
            return
        content = {"/key.pub": f"{KEY}\n".encode(), "/long": b"#" * (2 << 20), "/page": b"<html>\n"}.get(path)
        self.send_response(200 if content else 404)
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Says nothing."""


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "*")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_keys_come_from_an_address(address: str, tmp_path: Path) -> None:
    assert read_keys(f"{address}/key.pub") == [KEY]
    assert read_keys(f"{address}/to={address}/key.pub") == [KEY]
    secret = tmp_path / "secret"
    secret.write_text(f"{KEY}\n")
    for path, reason in (
        ("absent", "the server answered 404"),
        ("long", "is too long"),
        ("page", "is not a file of public keys"),
        (f"to=file://{secret}", "cannot be fetched"),
    ):
        with pytest.raises(UsageFailure, match=reason):
            read_keys(f"{address}/{path}")


def test_an_address_where_nobody_answers_is_named() -> None:
    with pytest.raises(UsageFailure, match=r"http://127.0.0.1:1/key.pub cannot be fetched"):
        read_keys("http://127.0.0.1:1/key.pub")
