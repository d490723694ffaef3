"""No file name leads out of its directory."""

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadeploy_bootctl.domain import digest
from kadeploy_bootctl.domain.errors import InvalidDigest, UnsafePath
from kadeploy_bootctl.tree.directory import check_name

ROOT = PurePosixPath("/srv/tftp/PXEClient/pxelinux.cfg")


@pytest.mark.parametrize("name", ["", ".", "..", "/", "/etc/passwd", "../x", "a/../b", "a\0b", "x" * 256])
def test_what_is_no_bare_name_is_refused(name: str) -> None:
    with pytest.raises(UnsafePath):
        check_name(name)


@given(st.text(alphabet=st.sampled_from("./\\\0abc~ é"), max_size=12) | st.text(max_size=300))
def test_an_accepted_name_stands_directly_in_its_directory(name: str) -> None:
    try:
        accepted = check_name(name)
    except (UnsafePath, UnicodeEncodeError):
        return
    assert (ROOT / accepted).parent == ROOT
    assert ".." not in (ROOT / accepted).parts


@given(st.text() | st.from_regex(r"sha256:[0-9a-f]{60,66}", fullmatch=True))
def test_an_accepted_digest_is_a_bare_name_and_comes_back(text: str) -> None:
    try:
        parsed = digest.parse(text)
    except InvalidDigest:
        return
    assert digest.of_file_name(check_name(digest.file_name(parsed))) == text
