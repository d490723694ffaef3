"""`kadeploy-deployenv`: builds the kernel and initramfs that nodes boot while they are deployed."""

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from kadeploy_deployenv.apt import SUITE, SUITES
from kadeploy_deployenv.build import BuildRequest, build
from kadeploy_deployenv.failure import BuildFailure
from kadeploy_deployenv.profiles import PROFILES
from kadeploy_deployenv.workspace import hand_over, read_manifest

FAILURE = 1
_NAME = "kadeploy-deployenv"
_CACHE = Path("~/.cache/kadeploy-deployenv")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit status."""
    options = build_parser().parse_args(arguments)
    try:
        return _build(options)
    except BuildFailure as failure:
        print(f"{_NAME}: {failure}", file=sys.stderr)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"{_NAME}: {where}{error.strerror or error}", file=sys.stderr)
    return FAILURE


def _build(options: argparse.Namespace) -> int:
    request = BuildRequest(
        output=options.output,
        authorized_key=options.authorized_key,
        cache=options.cache.expanduser().absolute(),
        profile=PROFILES[options.profile],
        suite=options.suite,
        kernel=options.kernel,
        modules=module_names(options.modules),
        firmware=options.firmware,
        hook=options.hook,
        mirrors=tuple(options.mirror),
        host_key=options.host_key,
    )
    fresh = build(request)
    hand_over(request.cache, request.output)
    manifest = read_manifest(request.output)
    sizes = {name: facts["bytes"] / 1e6 for name, facts in manifest["files"].items()}
    firmware = manifest["firmware_bytes"] / 1e6
    print(
        f"{request.output}: {'built' if fresh else 'up to date'}: "
        f"profile {request.profile.name}, Debian {request.suite}, "
        f"kernel {manifest['kernel']} {sizes['vmlinuz']:.1f} MB, initrd.img {sizes['initrd.img']:.1f} MB "
        f"(firmware {firmware:.1f} MB of it; at most {request.profile.maximum_bytes / 1e6:.0f} MB without)"
    )
    return 0


def module_names(text: str) -> tuple[str, ...]:
    """Returns the names in a list "igb,mpt3sas", or in the file of "@FILE", one a line with # for comments."""
    if text.startswith("@"):
        try:
            lines = Path(text[1:]).read_text().splitlines()
        except OSError as error:
            raise BuildFailure(f"--modules {text}: {error.strerror}") from None
    else:
        lines = text.split(",")
    names = (line.split("#", 1)[0].strip() for line in lines)
    return tuple(dict.fromkeys(name for name in names if name))


def build_parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line; the man page is made from it, too."""
    parser = argparse.ArgumentParser(
        prog=_NAME, description="Builds the system that nodes boot while they are deployed."
    )
    parser.add_argument("-V", "--version", action="version", version=f"{_NAME} {version(_NAME)}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    one = commands.add_parser(
        "build",
        help="build vmlinuz, initrd.img and the public host key",
        description="Builds the kernel and the initramfs into a folder. Needs no root and installs nothing here. "
        "The environment variable SOURCE_DATE_EPOCH sets the time that files bear.",
    )
    add = one.add_argument
    add("--output", type=Path, required=True, metavar="DIR", help="folder for the result")
    add("--authorized-key", type=Path, required=True, metavar="FILE", help="public keys that may log in as root")
    add(
        "--profile", choices=sorted(PROFILES), default="hardware",
        help="hardware: servers, with drivers of all Ethernet cards and disk controllers (the default); "
        "virtual: small, for virtual machines",
    )  # fmt: skip
    add("--suite", choices=sorted(SUITES), default=SUITE, help=f"of Debian ({SUITE})")
    add(
        "--kernel", type=Path, metavar="FILE",
        help="a kernel of your own: a Debian package (.deb) with its modules, or a kernel image whose modules are in "
        "/lib/modules here",
    )  # fmt: skip
    add(
        "--modules", default="", metavar="LIST",
        help="kernel modules besides the profile's, separated by commas, or @FILE with one a line",
    )  # fmt: skip
    add("--firmware", action="store_true", help="take in what drivers want of Debian's non-free-firmware")
    add("--hook", type=Path, metavar="DIR", help="files, scripts, packages and programs of the site: see the manual")
    add("--host-key", type=Path, metavar="FILE", help="host key in dropbear's format; made once without this")
    add(
        "--mirror", action="append", default=[], metavar="MIRROR",
        help="where packages come from: a URL, a line of sources.list or a file of such lines (this machine's sources)",
    )  # fmt: skip
    add("--cache", type=Path, default=_CACHE, metavar="DIR", help=f"keeps packages and the host key ({_CACHE})")
    return parser


if __name__ == "__main__":
    sys.exit(main())
