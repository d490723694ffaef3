"""The commands of docs/install.md, as the tests run them: block by block, by section and part."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tests.packages.debian_root import CHECKOUT

PAGE = CHECKOUT / "docs" / "install.md"
BLOCK = re.compile(r"^```([\w-]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# These lines of the page are left out; the test does in their place what is said there.
LEFT_OUT = {
    "kadeploy-deployenv build --output deployenv --authorized-key /etc/kadeploy/cluster_ed25519.pub": (
        "builds with packages of a mirror; tests/e2e boots what it builds"
    ),
    "kadeploy -m 'node-[1-2]' -e debian -p sda2": "deploys machines; tests/e2e does",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block of the page.

    Attributes:
        section: the heading of the second level above it.
        part: the heading of the third level above it, empty where there is none.
        kind: the word behind its fence.
        text: what stands in it.
    """

    section: str
    part: str
    kind: str
    text: str


def blocks(*kinds: str) -> list[Block]:
    found = []
    for section in PAGE.read_text().split("\n## ")[1:]:
        title = section.partition("\n")[0]
        for part in section.split("\n### "):
            name = part.partition("\n")[0] if part is not section and not part.startswith(title) else ""
            found += [
                Block(section=title, part=name, kind=each[1], text=each[2])
                for each in BLOCK.finditer(part)
                if each[1] in kinds
            ]
    return found


def runnable(text: str) -> str:
    """Returns a block without the commands that are left out."""
    return "\n".join(line for line in text.split("\n") if line not in LEFT_OUT)


def section_blocks(section: str, *, parts: Sequence[str] = ()) -> list[Block]:
    """Returns the blocks of shell commands of a section, or of some parts of it."""
    found = [block for block in blocks("sh") if block.section == section and (not parts or block.part in parts)]
    assert len(found) >= max(1, len(parts)), f"{PAGE} lacks a part of {section}"
    return found
