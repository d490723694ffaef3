"""The command line of `kadeploy-deployenv`, as far as it goes without building anything."""

from dataclasses import replace
from pathlib import Path

import pytest

from kadeploy_deployenv import __main__ as command
from kadeploy_deployenv.archive import FIXED_TIME, build_time
from kadeploy_deployenv.build import BuildRequest, check_size
from kadeploy_deployenv.failure import BuildFailure
from kadeploy_deployenv.profiles import HARDWARE, PROFILES


def test_a_list_of_modules_is_words_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "modules"
    file.write_text("# our cards\nigb\n\nmpt3sas # disks\nigb\n")
    assert command.module_names("igb, mpt3sas,igb,") == ("igb", "mpt3sas")
    assert command.module_names(f"@{file}") == ("igb", "mpt3sas")
    assert command.module_names("") == ()
    with pytest.raises(BuildFailure, match=r"--modules @/none: No such file"):
        command.module_names("@/none")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--authorized-key", "/none.pub"], "there is no public key /none.pub; make one with ssh-keygen"),
        (["--host-key", "/none"], "--host-key /none: there is no such file"),
        (["--kernel", "/none"], "--kernel /none: there is no such file"),
        (["--hook", "/none"], "--hook /none: there is no such directory"),
        (["--modules", "@/none"], "--modules @/none: No such file or directory"),
    ],
)
def test_what_is_not_there_is_one_sentence(
    options: list[str], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = tmp_path / "key.pub"
    key.write_text("ssh-ed25519 AAAA\n")
    always = ["--output", str(tmp_path / "out"), "--cache", str(tmp_path / "cache"), "--authorized-key", str(key)]
    assert command.main(["build", *always, *options]) == 1
    assert capsys.readouterr().err == f"kadeploy-deployenv: {reason}\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("options", [["--suite", "sid"], ["--profile", "toaster"], []])
def test_an_unknown_word_is_a_usage_error(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["build", *options])
    assert ended.value.code == 2
    assert "usage: kadeploy-deployenv build" in capsys.readouterr().err


def test_the_size_of_a_profile_is_bounded() -> None:
    assert {name: profile.maximum_bytes for name, profile in PROFILES.items()} == {
        "hardware": 120_000_000,
        "virtual": 40_000_000,
    }
    check_size(HARDWARE, 120_000_000)
    with pytest.raises(BuildFailure, match=r"is 120\.1 MB, but the profile hardware is bounded to 120 MB"):
        check_size(HARDWARE, 120_100_000)


def test_the_time_of_files_is_fixed_or_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    assert build_time() == FIXED_TIME
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert build_time() == 1_700_000_000
    for bad in ("yesterday", "-1", "99999999999"):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", bad)
        with pytest.raises(BuildFailure, match="SOURCE_DATE_EPOCH is"):
            build_time()


def test_whatever_changes_the_result_changes_the_name_in_the_cache(tmp_path: Path) -> None:
    (tmp_path / "kernel").write_bytes(b"kernel")
    (tmp_path / "hook/files").mkdir(parents=True)
    (tmp_path / "hook/files/motd").write_text("hello")
    plain = BuildRequest(output=tmp_path, authorized_key=tmp_path / "key", cache=tmp_path)
    requests = [
        plain,
        replace(plain, profile=HARDWARE),
        replace(plain, suite="trixie"),
        replace(plain, kernel=tmp_path / "kernel"),
        replace(plain, modules=("igb",)),
        replace(plain, firmware=True),
        replace(plain, hook=tmp_path / "hook"),
        replace(plain, mirrors=("http://mirror.example/debian",)),
    ]
    digests = [request.digest(1) for request in requests]
    assert len(set(digests)) == len(digests)
    assert plain.digest(2) != digests[0]
    assert plain.digest(1) == digests[0]
