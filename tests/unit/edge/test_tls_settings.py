"""The table [tls] of a service's settings."""

from pathlib import Path

import pytest

from kadeploy_edge.settings_file import BadSettings, Table, load
from kadeploy_edge.tls import TlsFiles
from kadeploy_edge.tls_settings import read_tls


def read(table: Table) -> TlsFiles | None:
    return read_tls(table.table("tls"))


def written(directory: Path, text: str) -> Path:
    path = directory / "service.toml"
    path.write_text(text)
    return path


def test_paths_are_relative_to_the_file_and_the_revocation_list_may_be_left_out(tmp_path: Path) -> None:
    text = '[tls]\ncertificate = "c.pem"\nprivate_key = "k.pem"\nca = "/etc/ca.pem"\n'
    files = TlsFiles(certificate=tmp_path / "c.pem", private_key=tmp_path / "k.pem", ca=Path("/etc/ca.pem"))
    assert load(written(tmp_path, text), read) == files


def test_without_the_table_there_are_no_certificates(tmp_path: Path) -> None:
    assert load(written(tmp_path, ""), read) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[tls]\ncertificate = "c"\nca = "a"\n', "the key tls.private_key is missing"),
        ('[tls]\ncertificate = "c"\nca = "a"\nprivate_key = "k"\ncrl = "r"\n', "the key tls.crl is not known"),
        ("tls = 3\n", "tls must be a table"),
    ],
)
def test_a_mistake_names_the_key(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(BadSettings, match=words):
        load(written(tmp_path, text), read)
