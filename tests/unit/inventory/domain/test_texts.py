"""Kernel arguments, digests and addresses of images."""

import pytest

from kadeploy_inventory.domain import texts


@pytest.mark.parametrize("text", ["a\nb", "a\0b", "a\rb", "a\x1bb", "x" * 2049])
def test_kernel_arguments_are_one_line_of_bounded_length(text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        texts.parse_line(text)


def test_kernel_arguments_may_hold_any_sign() -> None:
    assert texts.parse_line('console=ttyS0,115200 a="b c" $x') == 'console=ttyS0,115200 a="b c" $x'


def test_a_digest_is_normalised_to_lower_case() -> None:
    assert texts.parse_digest("sha256:" + "AB" * 32) == "sha256:" + "ab" * 32


@pytest.mark.parametrize("text", ["", "ab" * 32, "sha256:ab", "md5:" + "ab" * 32, "sha256:" + "zz" * 32])
def test_other_texts_are_no_digests(text: str) -> None:
    with pytest.raises(ValueError, match="64 hexadecimal"):
        texts.parse_digest(text)


@pytest.mark.parametrize("text", ["file:///srv/a.tar", "http://images/a.tar", "https://images:8443/a?b=c"])
def test_images_are_files_or_on_the_web(text: str) -> None:
    assert texts.parse_uri(text) == text


@pytest.mark.parametrize(
    "text",
    ["", "/srv/a", "file:/", "file://srv/a", "file:///a/../b", "file:///a/", "ftp://x/a", "http://", "http://[", "a\n"],
)
def test_other_texts_are_no_uris_of_images(text: str) -> None:
    with pytest.raises(ValueError, match=r"must|URI"):
        texts.parse_uri(text)


@pytest.mark.parametrize("text", ["boot/vmlinuz", "/boot/../../etc/shadow", "/boot/"])
def test_paths_in_images_are_absolute_and_stay_inside(text: str) -> None:
    with pytest.raises(ValueError, match="absolute"):
        texts.parse_image_path(text)


@pytest.mark.parametrize("text", ["", "/init.ash", "../init.ash", "a/../../b"])
def test_scripts_stay_inside_their_archive(text: str) -> None:
    with pytest.raises(ValueError, match="inside the archive"):
        texts.parse_script(text)


def test_no_script_is_a_word_of_its_own() -> None:
    assert texts.parse_script(texts.NO_SCRIPT) == "none"
