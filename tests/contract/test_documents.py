"""Documents name files that are there: a page that points nowhere is worse than none."""

import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
PAGES = [CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", CHECKOUT / "SECURITY.md", *CHECKOUT.glob("docs/**/*.md")]
ROOTS = ("protos", "services", "clients", "tests", "lab", "deployenv", "docs")


def name(page: Path) -> str:
    return str(page.relative_to(CHECKOUT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    dead = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert dead == []


@pytest.mark.parametrize("page", [CHECKOUT / "CONTRIBUTING.md", CHECKOUT / "docs" / "architecture.md"], ids=name)
def test_every_path_in_the_map_exists(page: Path) -> None:
    words = re.findall(r"`([^`\s]+)`", page.read_text())
    paths = [word for word in words if word.split("/")[0] in ROOTS and "/" in word]
    # <service> stands for each service; a * or <name> is a place for something new.
    services = ("inventory", "deployer", "bootctl")
    expanded = [path.replace("<service>", service) for path in paths for service in services]
    dead = {path for path in expanded if not re.search(r"[<*]", path) and not (CHECKOUT / path).exists()}
    # A service has tree/ or store/, as it needs; tests of one kind may be missing for one service.
    assert dead == set()
