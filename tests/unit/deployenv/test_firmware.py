"""Which firmware goes in, and what is said of the rest."""

from pathlib import Path

from kadeploy_deployenv.firmware import choose_firmware, report

WANTED = {"bnx2x": ("bnx2x/e2.fw", "bnx2x/e1.fw"), "ice": ("intel/ice/ddp/ice.pkg",)}


def test_without_firmware_each_driver_is_named_with_what_it_wants() -> None:
    choice = choose_firmware(WANTED, None)
    assert (choice.files, choice.missing) == ({}, WANTED)
    lines = report(choice.missing, allowed=False)
    assert lines[0] == "2 drivers want firmware files that are not included (--firmware would look for them):"
    assert lines[1:] == ["  bnx2x: bnx2x/e2.fw, bnx2x/e1.fw", "  ice: intel/ice/ddp/ice.pkg"]


def test_only_wanted_files_go_in_and_what_no_package_has_is_told(tmp_path: Path) -> None:
    home = tmp_path / "usr/lib/firmware"
    for name in ("bnx2x/e2.fw", "intel/ice/ddp/ice.pkg.xz", "nobody/wants.fw"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes(name.encode())
    choice = choose_firmware(WANTED, tmp_path)
    assert choice.files == {
        "bnx2x/e2.fw": home / "bnx2x/e2.fw",
        "intel/ice/ddp/ice.pkg.xz": home / "intel/ice/ddp/ice.pkg.xz",
    }
    assert report(choice.missing, allowed=True) == [
        "1 drivers want firmware files that are not included (no package of this suite has them):",
        "  bnx2x: bnx2x/e1.fw",
    ]


def test_nothing_missing_says_nothing() -> None:
    assert report({}, allowed=False) == []
    assert report({"nfp": tuple("abcdef")}, allowed=False)[1] == "  nfp: a, b, c, d and 2 more"
