"""Descriptions of Kadeploy 3.0, one level of `key : value`, as the nested ones that followed it.

The files of one key stand in one text, `ADDRESS|KIND|SCRIPT`; post-install archives follow one another after commas.
"""

from collections.abc import Mapping

import yaml

from kadeploy_cli.descriptions.yaml_text import Place

KINDS: Mapping[str, tuple[str, str]] = {
    "tgz": ("tar", "gzip"),
    "tbz2": ("tar", "bzip2"),
    "txz": ("tar", "xz"),
    "ddgz": ("dd", "gzip"),
    "ddbz2": ("dd", "bzip2"),
    "ddxz": ("dd", "xz"),
}
RENAMED = {"environment_kind": "os", "demolishing_env": "destructive"}
BOOT = ("kernel", "initrd", "kernel_params", "hypervisor", "hypervisor_params")
KEPT = ("name", "version", "description", "author", "filesystem", "visibility", "user")
TEXT = "tag:yaml.org,2002:str"


def is_of_version_30(root: Place) -> bool:
    """Returns whether a description is of that form: it alone has a tarball."""
    return root.is_mapping and any(key == "tarball" for key, _ in root.entries())


def translated(root: Place) -> Place:
    """Returns the nested description that says the same. Lines stay those of the file."""
    made: list[tuple[yaml.Node, yaml.Node]] = []
    boot: list[tuple[yaml.Node, yaml.Node]] = []
    for key, place in root.entries():
        node = place.node
        if key in KEPT:
            made.append((_text(key, node), node))
        elif key in RENAMED:
            value = _boolean(place) if key == "demolishing_env" else node
            made.append((_text(RENAMED[key], node), value))
        elif key in BOOT:
            boot.append((_text(key, node), node))
        elif key == "fdisktype":
            made.append((_text("partition_type", node), _text(f"0x{place.text().lower().removeprefix('0x')}", node)))
        elif key == "tarball":
            made.append((_text("image", node), _image(place)))
        elif key in {"preinstall", "postinstall"}:
            made += _archives(key, place)
        else:
            raise place.failure("is no key of a description of Kadeploy 3.0, which has a tarball")
    if boot:
        made.append((_text("boot", boot[0][1]), _mapping(boot, boot[0][1])))
    return Place(_mapping(made, root.node), root.source, "")


def _image(place: Place) -> yaml.Node:
    address, _, kind = place.text().partition("|")
    words = KINDS.get(kind.strip())
    if words is None:
        raise place.failure(f"ADDRESS|KIND is expected, KIND one of {', '.join(KINDS)}")
    pairs = {"file": address.strip(), "kind": words[0], "compression": words[1]}
    return _mapping([(_text(key, place.node), _text(value, place.node)) for key, value in pairs.items()], place.node)


def _archives(key: str, place: Place) -> list[tuple[yaml.Node, yaml.Node]]:
    if not place.text():
        return []
    if key == "preinstall":
        return [(_text(key, place.node), _archive(place, place.text()))]
    archives = [_archive(place, part) for part in place.text().split(",")]
    several = yaml.SequenceNode("tag:yaml.org,2002:seq", archives, *_marks(place.node))
    return [(_text("postinstalls", place.node), several)]


def _archive(place: Place, text: str) -> yaml.Node:
    parts = [part.strip() for part in text.split("|")]
    words = KINDS.get(parts[1]) if len(parts) > 1 else None
    if words is None or words[0] != "tar" or len(parts) > 3:  # noqa: PLR2004
        raise place.failure("ADDRESS|KIND|SCRIPT is expected, KIND one of tgz, tbz2, txz")
    pairs = {"archive": parts[0], "compression": words[1], "script": parts[2] if len(parts) > 2 else "none"}  # noqa: PLR2004
    return _mapping([(_text(key, place.node), _text(value, place.node)) for key, value in pairs.items()], place.node)


def _boolean(place: Place) -> yaml.Node:
    """Kadeploy 3.0 wrote 0 and 1."""
    word = {"0": "false", "1": "true"}.get(place.text(), place.text())
    return _text(word, place.node)


def _text(word: str, node: yaml.Node) -> yaml.Node:
    return yaml.ScalarNode(TEXT, word, *_marks(node))


def _mapping(pairs: list[tuple[yaml.Node, yaml.Node]], node: yaml.Node) -> yaml.Node:
    return yaml.MappingNode("tag:yaml.org,2002:map", pairs, *_marks(node))


def _marks(node: yaml.Node) -> tuple[yaml.Mark, yaml.Mark]:
    return node.start_mark, node.end_mark
