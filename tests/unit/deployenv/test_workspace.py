"""Whether a build is current: digests of what it was made from and of what it made."""

from pathlib import Path

from kadeploy_deployenv.workspace import digest_files, is_current, write_manifest, write_whole


def built(folder: Path) -> None:
    write_whole(folder / "initrd.img", b"content")
    write_manifest(folder, inputs="one", files=["initrd.img"], facts={"kernel": "6.1"})


def test_a_build_is_current_while_its_inputs_and_files_are_the_same(tmp_path: Path) -> None:
    built(tmp_path)

    assert is_current(tmp_path, "one")
    assert not is_current(tmp_path, "two")


def test_a_build_whose_file_was_changed_or_removed_is_not_current(tmp_path: Path) -> None:
    built(tmp_path)
    (tmp_path / "initrd.img").write_bytes(b"changed")
    assert not is_current(tmp_path, "one")

    (tmp_path / "initrd.img").unlink()
    assert not is_current(tmp_path, "one")


def test_an_empty_folder_or_a_broken_manifest_is_not_current(tmp_path: Path) -> None:
    assert not is_current(tmp_path, "one")

    (tmp_path / "manifest.json").write_text('{"inputs": "one"')
    assert not is_current(tmp_path, "one")


def test_a_digest_tells_content_names_and_executable_bits_apart(tmp_path: Path) -> None:
    file = tmp_path / "tree/init"
    file.parent.mkdir()
    file.write_text("a")
    seen = [digest_files([tmp_path / "tree"])]

    file.write_text("b")
    seen.append(digest_files([tmp_path / "tree"]))
    file.chmod(0o755)
    seen.append(digest_files([tmp_path / "tree"]))
    file.rename(file.with_name("other"))
    seen.append(digest_files([tmp_path / "tree"]))

    assert len(set(seen)) == 4


def test_a_digest_does_not_depend_on_where_the_folder_lies_or_on_what_python_left_there(tmp_path: Path) -> None:
    for place in ("here", "there"):
        (tmp_path / place / "tree/__pycache__").mkdir(parents=True)
        (tmp_path / place / "tree/init").write_text("a")
    (tmp_path / "there/tree/__pycache__/x.pyc").write_bytes(b"x")

    assert digest_files([tmp_path / "here/tree"]) == digest_files([tmp_path / "there/tree"])
