"""The reference in docs/commands.md is what the commands are."""

from pathlib import Path

from kadeploy_cli import reference
from kadeploy_cli.descriptions import cluster_files, cluster_profile, environment_yaml, nodes_yaml
from kadeploy_cli.environments.image_files import image, script_archive
from kadeploy_cli.terminal.exit_codes import ExitCode

PAGE = Path(__file__).resolve().parents[3] / "docs" / "commands.md"


def test_the_page_of_commands_tells_what_the_commands_are_now() -> None:
    written, marker, generated = PAGE.read_text(encoding="utf-8").partition(reference.MARKER)
    assert marker
    assert generated == f"\n{reference.render()}", "run: python -m kadeploy_cli.reference docs/commands.md"
    for code in ExitCode:
        assert f"| {int(code)} |" in written


def test_the_profile_on_the_page_can_be_read() -> None:
    text = PAGE.read_text(encoding="utf-8")
    block = text[text.index("    first_check_timeout: 210") : text.index("A command is one line")]
    profile = "".join(f"{line.removeprefix('    ')}\n" for line in block.splitlines() if "preinstall:" not in line)
    read, fields = cluster_profile.parse(profile, PAGE.name, directory=PAGE.parent, read_archive=script_archive)
    assert len(fields) == 19
    assert read.commands.hard_reboot.arguments[4] == "{bmc}"


def test_the_descriptions_on_the_page_can_be_read(tmp_path: Path) -> None:
    text = PAGE.read_text(encoding="utf-8")
    nodes = _block(text, "    cluster: lab ")
    assert len(nodes_yaml.parse(nodes, PAGE.name).nodes) == 17
    for name in ("pre.tgz", "post.tgz", "g5k.tgz", "debian.tar.zst"):
        (tmp_path / name).write_bytes(b"x")
    environment = _block(text, "    name: debian\n").replace("/srv/images", str(tmp_path))
    files = environment_yaml.Files(
        directory=tmp_path, read_image=image, read_archive=script_archive, note=lambda _: None
    )
    read = environment_yaml.parse(environment, PAGE.name, {}, files)
    assert (read.version, len(read.postinstalls), read.preinstall.script) == (3, 2, "init.ash")
    disk = cluster_files.parse_disk(_block(text, "    block_device="), PAGE.name).disk
    assert len(disk.partitions) == 4


def _block(text: str, beginning: str) -> str:
    """Returns the indented block that begins so."""
    lines = text[text.index(beginning) :].split("\n")
    end = next(index for index, line in enumerate(lines) if line and not line.startswith("    "))
    return "\n".join(line.removeprefix("    ") for line in lines[:end])
