"""Recording, finding, changing and removing environments, on a real inventory."""

import hashlib
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from kadeploy_cli.environments.classic_commands import kaenvironments, karecordenv
from kadeploy_cli.environments.kaenv import kaenv
from kadeploy_cli.ka import ka

pytestmark = pytest.mark.integration

Run = Callable[..., Result]
YAML = """\
---
name: debian
version: 3
description: Debian with everything
author: admin@site
visibility: shared
destructive: false
os: linux
image:
  file: server://{directory}/image
  kind: tar
  compression: xz
preinstall:
  archive: pre.tgz
  compression: gzip
  script: none
postinstalls:
  - {archive: post.tgz, compression: gzip, script: traitement.ash /rambin}
  - {archive: second.tar.zst}
boot:
  kernel: /vmlinuz
  initrd: /initrd.img
  kernel_params: console=ttyS0
filesystem: ext4
partition_type: 0x83
multipart: false
"""
XEN = """\
name: xen
os: xen
image: {file: image.dd.gz, kind: dd, compression: gzip}
boot: {kernel: /boot/vmlinuz, initrd: /boot/initrd, hypervisor: /boot/xen.gz, hypervisor_params: dom0_mem=1G}
"""


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@pytest.fixture
def described(tmp_path: Path) -> Path:
    for name in ("image", "pre.tgz", "post.tgz", "second.tar.zst", "image.dd.gz"):
        (tmp_path / name).write_bytes(name.encode())
    file = tmp_path / "debian.yaml"
    file.write_text(YAML.replace("{directory}", str(tmp_path)))
    return file


def shown(run: Run, name: str, **options: str) -> dict[str, Any]:
    result = run(ka, ["environment", "show", name, "-o", "json"], **options)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_a_kadeploy_3_description_is_recorded_with_every_field(run: Run, described: Path) -> None:
    result = run(ka, ["environment", "record", str(described)])
    assert result.exit_code == 0, result.output
    found = shown(run, "debian")
    assert (found["version"], found["visibility"], found["author"]) == (3, "shared", "admin@site")
    assert found["image"] == {
        "uri": f"file://{described.parent}/image",
        "kind": "tar",
        "compression": "xz",
        "digest": digest(b"image"),
        "size_bytes": 5,
        "whole_disk": False,
    }
    assert (found["preinstall"]["script"], found["preinstall"]["digest"]) == ("none", digest(b"pre.tgz"))
    scripts = [(each["script"], each["compression"], each["digest"]) for each in found["postinstalls"]]
    assert scripts == [
        ("traitement.ash", "gzip", digest(b"post.tgz")),
        ("none", "zstd", digest(b"second.tar.zst")),
    ]
    assert found["boot"]["kernel_arguments"] == "console=ttyS0"
    assert (found["file_system"], found["partition_type_id"]) == ("ext4", 0x83)


def test_a_description_of_version_3_7_is_recorded_with_all_that_it_says(run: Run, described: Path) -> None:
    more = (
        "alias: debian-x64\narch: x86_64\ncustom_variables: {BOOTLOADER: '1'}\n"
        "options: {kexec: false, trust_previous_env: false}\n"
    )
    text = described.read_text().replace("script: traitement.ash /rambin", "script: postinstall --net debian")
    described.write_text(text.replace("destructive: false", "destructive: true") + more)
    assert run(kaenv, ["-a", str(described)]).exit_code == 0
    found = shown(run, "debian-x64")
    assert (found["name"], found["alias"], found["architecture"]) == ("debian", "debian-x64", "x86_64")
    assert (found["custom_variables"], found["destructive"]) == ({"BOOTLOADER": "1"}, True)
    assert (found["boot"]["kexec_refused"], found["running_system_refused"]) == (True, True)
    assert found["postinstalls"][0]["script_arguments"] == ["--net", "debian"]


def test_variables_that_the_deployer_sets_itself_are_refused(run: Run, described: Path) -> None:
    described.write_text(f"{described.read_text()}custom_variables: {{KADEPLOY_NODE: x, 'a b': y}}\n")
    result = run(kaenv, ["-a", str(described)])
    assert result.exit_code == 2
    assert "KADEPLOY_NODE: what begins with KADEPLOY_ is set by the deployer" in result.stderr
    assert "no name of a variable such as BOOTLOADER: 'a b'" in result.stderr


@pytest.mark.parametrize("form", ["file:/{}", "file://{}", "file://localhost{}", "file:{}"])
def test_the_addresses_of_version_2_are_absolute(run: Run, described: Path, form: str) -> None:
    image = described.parent / "image.tgz"
    image.write_bytes(b"image")
    address = form.format(str(image).removeprefix("/") if form == "file://{}" else image)
    text = f"name = v2\nkernelpath = /vmlinuz\nfilebase = {address}\n"
    assert run(karecordenv, ["-fe", "-", "-size", "650"], stdin=text).exit_code == 0
    found = shown(run, "v2")
    assert (found["image"]["uri"], found["required_size_bytes"]) == (f"file://{image}", 650 << 20)


def test_xen_is_a_hypervisor_with_a_kernel(run: Run, described: Path) -> None:
    file = described.parent / "xen.yaml"
    file.write_text(XEN)
    assert run(karecordenv, ["-fe", str(file)]).exit_code == 0
    found = shown(run, "xen")
    assert (found["operating_system"], found["boot"]["kind"]) == ("xen", "multiboot")
    assert found["boot"]["hypervisor_arguments"] == "dom0_mem=1G"


@pytest.mark.parametrize("kind", ["tar", "dd"])
@pytest.mark.parametrize("compression", ["none", "gzip", "bzip2", "xz", "zstd"])
def test_every_kind_and_compression_can_be_recorded(run: Run, described: Path, kind: str, compression: str) -> None:
    more = "boot: {kernel: /vmlinuz}\nfilesystem: xfs\n" if kind == "tar" else ""
    text = f"name: x\nos: linux\nimage: {{file: {described.parent}/image, kind: {kind}, compression: {compression}}}\n"
    assert run(ka, ["environment", "record", "-"], stdin=text + more).exit_code == 0
    found = shown(run, "x")
    assert (found["image"]["kind"], found["image"]["compression"]) == (kind, compression)
    assert found["boot"]["kind"] == ("linux" if kind == "tar" else "chainload")


@pytest.mark.parametrize(
    ("old", "new", "line", "expected"),
    [
        ("name: debian", "nom: debian", 2, "nom: is no key here"),
        ("version: 3", "version: three", 3, "version: a whole number from 1"),
        ("visibility: shared", "visibility: all", 6, "one of private, shared, public is expected"),
        ("os: linux", "os: plan9", 8, "os: one of linux, xen, other"),
        ("kind: tar", "kind: fsa", 11, "fsa images are not offered"),
        ("compression: xz", "compression: rar", 12, "image.compression: one of none, gzip"),
        ("  kernel: /vmlinuz\n", "", 21, "kernel is missing"),
        ("filesystem: ext4\n", "", 2, "filesystem is missing"),
        ("os: linux", "os: xen", 21, "hypervisor is missing: xen needs it"),
        ("multipart: false", "multipart: true", 26, "several partitions are not offered"),
        ("  initrd: /initrd.img", "  block_device: sda", 22, "several partitions are not offered"),
        ("script: none", "script: none b", 16, "none runs nothing"),
    ],
)
def test_a_wrong_line_of_a_yaml_description_is_named(  # noqa: PLR0917
    run: Run, described: Path, old: str, new: str, line: int, expected: str
) -> None:
    described.write_text(described.read_text().replace(old, new, 1))
    result = run(kaenv, ["-a", str(described)])
    assert result.exit_code == 2, result.output
    assert f"{described}, line {line}: " in result.stderr
    assert expected in result.stderr
    assert json.loads(run(kaenv, ["-l", "-o", "json"]).stdout) == []


def test_visibility_decides_who_finds_it(run: Run, described: Path) -> None:
    for user, visibility in (("alice", "private"), ("root", "public")):
        arguments = ["environment", "record", str(described), "--visibility", visibility]
        assert run(ka, arguments, user=user).exit_code == 0
    assert shown(run, "debian", user="alice")["owner"] == "alice"
    assert shown(run, "debian", user="bob")["owner"] == "root"
    assert run(ka, ["environment", "show", "debian", "-l", "alice"], user="bob").exit_code == 4
    public = run(ka, ["environment", "record", str(described), "--visibility", "public"], user="bob")
    assert public.exit_code == 5
    assert "only administrators make an environment public" in public.stderr
    share = ["environment", "update", "debian", "--visibility", "shared"]
    assert run(ka, share, user="alice").exit_code == 0
    assert run(ka, ["environment", "show", "debian", "-l", "alice"], user="bob").exit_code == 0
    assert run(ka, [*share, "-l", "alice"], user="bob").exit_code == 5


def test_a_changed_file_is_accepted_by_the_command_that_the_deployer_names(run: Run, described: Path) -> None:
    assert run(ka, ["environment", "record", str(described)]).exit_code == 0
    (described.parent / "image").write_bytes(b"another image")
    (described.parent / "second.tar.zst").write_bytes(b"another script")
    command = ["environment", "update", "debian", "--env-version", "3", "--owner", "root", "--accept-digest"]
    result = run(ka, command)
    assert result.exit_code == 0, result.output
    assert f"{digest(b'image')} (5 B) becomes {digest(b'another image')} (13 B)" in result.stderr
    found = shown(run, "debian")
    assert (found["image"]["digest"], found["image"]["size_bytes"]) == (digest(b"another image"), 13)
    assert [each["digest"] for each in found["postinstalls"]] == [digest(b"post.tgz"), digest(b"another script")]
    assert "nothing is changed" in run(ka, command).stderr
    assert run(ka, ["environment", "update", "debian"]).exit_code == 2


def test_kaenv_has_the_verbs_of_version_3(run: Run, described: Path) -> None:
    assert run(kaenv, ["-a", str(described)]).exit_code == 0
    assert run(kaenv, ["-a", str(described), "--env-version", "4"]).exit_code == 0
    assert [each["version"] for each in json.loads(run(kaenv, ["-l", "-o", "json"]).stdout)] == [4]
    assert len(json.loads(run(kaenv, ["-l", "-s", "-o", "json"]).stdout)) == 2
    assert run(kaenv, ["--set-visibility-tag", "debian", "-t", "public"]).exit_code == 0
    assert run(kaenv, ["--set-visibility-tag", "debian"]).exit_code == 2
    (described.parent / "pre.tgz").write_bytes(b"new")
    (described.parent / "image").write_bytes(b"new")
    assert run(kaenv, ["--update-preinstall-checksum", "debian"]).exit_code == 0
    found = shown(run, "debian")
    assert (found["preinstall"]["digest"], found["image"]["digest"]) == (digest(b"new"), digest(b"image"))
    assert "visibility:" in run(kaenv, ["-p", "debian"]).stdout
    assert run(kaenv, ["-d", "debian", "--env-version", "3"]).exit_code == 0
    assert run(kaenv, []).exit_code == 2
    assert run(kaenvironments, ["-o", "name"]).stdout == "debian\n"


def test_what_is_printed_is_the_first_step_to_an_environment_of_one_s_own(
    run: Run, described: Path, tmp_path: Path
) -> None:
    assert run(kaenv, ["-a", str(described)]).exit_code == 0
    printed = run(kaenv, ["-p", "debian"])
    assert run(kaenv, ["debian"]).stdout == printed.stdout
    mine = tmp_path / "mine.env"
    mine.write_text(
        "".join("name: mine\n" if line.startswith("name:") else f"{line}\n" for line in printed.stdout.splitlines())
    )
    assert run(kaenv, ["-a", str(mine)]).exit_code == 0
    one, other = shown(run, "debian"), shown(run, "mine")
    made = {"name", "uid", "etag", "create_time"}
    assert {key: one[key] for key in one if key not in made} == {key: other[key] for key in other if key not in made}
    as_json = run(kaenv, ["-p", "mine", "-o", "json"])
    assert run(kaenv, ["-a", "-"], stdin=as_json.stdout).exit_code == 0


def test_kaenv_lists_by_a_pattern_turns_the_destructive_flag_over_and_moves_files(
    run: Run, described: Path, tmp_path: Path
) -> None:
    assert run(kaenv, ["-a", str(described)]).exit_code == 0
    assert "debian" in run(kaenv, ["-l", "deb*"]).stdout
    assert "debian" not in run(kaenv, ["-l", "ubu*"]).stdout
    assert run(kaenv, ["--toggle-destructive-tag", "debian"]).exit_code == 0
    assert shown(run, "debian")["destructive"]
    assert run(kaenv, ["--toggle-destructive-tag", "debian"]).exit_code == 0
    assert not shown(run, "debian")["destructive"]
    before = shown(run, "debian")
    moved = run(kaenv, ["--move-files", "-m", f"{tmp_path}::/data/images"])
    assert (moved.exit_code, "1 environments are changed" in moved.stderr) == (0, True), moved.output
    after = shown(run, "debian")
    assert after["image"] == before["image"] | {"uri": "file:///data/images/image"}
    assert after["preinstall"] == before["preinstall"] | {"uri": "file:///data/images/pre.tgz"}
    assert [each["uri"] for each in after["postinstalls"]] == [
        "file:///data/images/post.tgz",
        "file:///data/images/second.tar.zst",
    ]
    assert run(kaenv, ["--move-files", "-m", "/data"]).exit_code == 2


# --- Images on a web server ---


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "file:///etc/passwd")
            self.end_headers()
            return
        if self.path == "/env/debian.dsc":
            text = b"name: web\nos: linux\nimage: {file: ../image.tar.gz, kind: tar, compression: gzip}\n"
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text + b"boot: {kernel: /vmlinuz}\nfilesystem: ext4\n")
            return
        if self.path != "/image.tar.gz":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"image")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        return


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(5)


def test_the_digest_of_an_image_on_a_web_server_is_taken_by_reading_it(run: Run, web: str) -> None:
    result = run(karecordenv, ["-n", "x", "-k", "/vmlinuz", "-fb", f"{web}/image.tar.gz"])
    assert result.exit_code == 0, result.output
    image = shown(run, "x")["image"]
    assert (image["uri"], image["digest"], image["compression"]) == (f"{web}/image.tar.gz", digest(b"image"), "gzip")


def test_a_description_on_a_web_server_names_files_beside_it(run: Run, web: str) -> None:
    result = run(kaenv, ["-a", f"{web}/env/debian.dsc"])
    assert result.exit_code == 0, result.output
    assert shown(run, "web")["image"]["uri"] == f"{web}/image.tar.gz"


@pytest.mark.parametrize(
    ("path", "expected"), [("/none.tar", "the server answered 404"), ("/moved", "cannot be fetched: ")]
)
def test_what_a_web_server_does_not_give_is_one_sentence(run: Run, web: str, path: str, expected: str) -> None:
    text = f'name: x\nos: linux\nimage: {{file: "{web}{path}", kind: dd, compression: none}}\n'
    result = run(ka, ["environment", "record", "-"], stdin=text)
    assert result.exit_code == 2
    assert expected in result.stderr


def test_an_address_of_another_kind_is_refused(run: Run) -> None:
    result = run(karecordenv, ["-n", "x", "-k", "/vmlinuz", "-fb", "ftp://server/image.tar"])
    assert result.exit_code == 2
    assert "begins with file://, http:// or https:// is expected" in result.stderr
