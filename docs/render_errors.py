"""Writes docs/errors.md: every reason that a service can give, and every reason why a node can fail.

    python docs/render_errors.py docs/errors.md

A test compares the page with what this makes.
"""

import importlib
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path

from google.rpc import code_pb2

from kadeploy.deployer.v1 import deployment_pb2
from kadeploy_cli.terminal import advice
from kadeploy_cli.terminal.plain import word
from kadeploy_edge import errors
from kadeploy_edge.status import CODES

PACKAGES = ("edge", "database", "inventory", "deployer", "bootctl")
SERVICES = ("inventory", "deployer", "bootctl")
# These start something when they are imported.
_NOT_IMPORTED = ("__main__", "migrations.env")


def reasons() -> dict[str, list[type[errors.DomainError]]]:
    """Returns the errors of all services by their reasons, in alphabetical order."""
    for name in PACKAGES:
        package = importlib.import_module(f"kadeploy_{name}")
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith(_NOT_IMPORTED):
                importlib.import_module(module.name)
    found: dict[str, list[type[errors.DomainError]]] = {}
    for kind in _below(errors.DomainError):
        # Tests have errors of their own.
        if kind.__dict__.get("reason") and kind.__module__.startswith("kadeploy_"):
            found.setdefault(kind.reason, []).append(kind)
    for kinds in found.values():
        kinds.sort(key=lambda kind: kind.__module__)
    return dict(sorted(found.items()))


def render() -> str:
    """Returns the page."""
    lines = [
        "# Errors",
        "",
        "Written by `make docs` from the services and the client. An error of a command is a sentence with the reason",
        "in parentheses, then what to try. Programs find the reason in `google.rpc.ErrorInfo`, and under `-o json` in",
        "`error.reason`. By symptom: [troubleshooting.md](troubleshooting.md).",
        "",
        "## Reasons of the services",
        "",
        "| Reason | gRPC code | From | What happened | What to do |",
        "| --- | --- | --- | --- | --- |",
    ]
    for reason, kinds in reasons().items():
        whence = ", ".join(name for name in SERVICES if any(_is_of(kind, name) for kind in kinds))
        meaning = " ".join(dict.fromkeys(_first_line(kind) for kind in kinds))
        codes = ", ".join(dict.fromkeys(_code(kind) for kind in kinds))
        lines.append(_row(f"`{reason}`", codes, whence, meaning, advice.for_reason(reason)))
    lines += [
        "",
        "## Why a node failed or was left out",
        "",
        "These stand at a node of a deployment (`ka deployment show ID`), with a sentence on step and cause.",
        "",
        "| Reason | What to do |",
        "| --- | --- |",
    ]
    for reason in failure_reasons():
        lines.append(_row(reason.replace("_", " "), advice.FAILURES.get(reason, "")))
    return "\n".join(lines) + "\n"


def failure_reasons() -> list[str]:
    """Returns the words for why a node failed, in the order of the contract."""
    kind = deployment_pb2.FailureReason
    return [word(kind.DESCRIPTOR, number) for number in kind.values() if number]


def _below(kind: type[errors.DomainError]) -> Iterator[type[errors.DomainError]]:
    for each in kind.__subclasses__():
        yield each
        yield from _below(each)


def _is_of(kind: type[errors.DomainError], service: str) -> bool:
    shared = "kadeploy_edge" if service == "bootctl" else ("kadeploy_edge", "kadeploy_database")
    return kind.__module__.startswith(f"kadeploy_{service}.") or kind.__module__.startswith(shared)


def _first_line(kind: type[errors.DomainError]) -> str:
    return (kind.__doc__ or "").strip().splitlines()[0]


def _code(kind: type[errors.DomainError]) -> str:
    number = next((number for base, number in CODES.items() if issubclass(kind, base)), code_pb2.INTERNAL)
    return str(code_pb2.Code.Name(number))


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def main() -> int:
    """Writes the page that the command line names."""
    if len(sys.argv) != 2:  # noqa: PLR2004
        print("usage: python docs/render_errors.py docs/errors.md", file=sys.stderr)
        return 2
    Path(sys.argv[1]).write_text(render(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
