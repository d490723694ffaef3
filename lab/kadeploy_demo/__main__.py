"""`python -m kadeploy_demo run|start|stop`: the demo, and the three services alone."""

import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

from kadeploy_demo.errors import DemoError
from kadeploy_demo.page import USER, Page
from kadeploy_demo.run import run_demo
from kadeploy_demo.scenario import Build
from kadeploy_demo.site import Site
from kadeploy_lab import LabError

CHECKOUT = Path(__file__).resolve().parents[2]
BUILD = CHECKOUT / "build"
INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Kadeploy at work."""
    # SIGTERM and a closed terminal end as Ctrl-C does: through every clean-up.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)


@main.command()
@click.option("--nodes", default=2, show_default=True, type=click.IntRange(1, 16), help="Machines in the lab.")
@click.option("--environment", default="debian", show_default=True, help="What to deploy: debian or tiny.")
@click.option("--keep", is_flag=True, help="Leave the lab up at the end.")
def run(nodes: int, environment: str, *, keep: bool) -> None:
    """Deploys an environment on a lab of blank machines and verifies each by logging in."""
    build = Build(
        deployment_environment=BUILD / "deployenv",
        environment=environment,
        description=BUILD / "environments" / environment / f"{environment}.env",
        cluster_key=BUILD / "keys" / "cluster_ed25519",
    )
    sys.exit(run_demo(build, BUILD / "demo", node_count=nodes, keep=keep, say=_say))


@main.command()
def start() -> None:
    """Starts the three services and the page on loopback, with certificates, data in build/run."""
    site = _loopback_site()
    if running := site.running():
        raise DemoError(f"{', '.join(running)} run already, from {_shown(site.directory)}: end them with `make stop`")
    page = Page(site=site)
    site.write_settings()
    site.prepare_certificates("root", USER)
    client = site.write_client_settings("root")
    try:
        site.prepare_tree()
        site.start()
        page_address = page.start()
    except BaseException:
        page.stop()
        site.stop()
        raise
    for service, address in site.addresses.items():
        _say(f"{service:10} {address}   log: {_shown(site.log_file(service))}")
    _say(f"{'page':10} {page_address}   log: {_shown(page.process.log_file)}")
    kanodes = _shown(Path(sys.prefix, "bin", "kanodes"))
    _say(f"Use it:  KADEPLOY_CONFIG={_shown(client)} {kanodes} -listnode")
    _say("End it:  make stop")


@main.command()
def stop() -> None:
    """Ends what `start` started."""
    site = _loopback_site()
    ended = ["page"] if Page(site=site).stop() else []
    ended += site.stop()
    _say(f"ended {', '.join(ended)}" if ended else "nothing of `make run` is running")


def _loopback_site() -> Site:
    directory = BUILD / "run"
    return Site(
        directory=directory,
        tftp_root=directory / "tftp",
        pki=directory / "pki",
        addresses={"inventory": "127.0.0.1:7401", "deployer": "127.0.0.1:7402", "bootctl": "127.0.0.1:7403"},
        deployment_environment=BUILD / "deployenv",
        cluster_key=BUILD / "keys" / "cluster_ed25519",
        image_directories=(BUILD / "environments",),
    )


def _shown(path: Path) -> str:
    return os.path.relpath(path)


def _say(text: str) -> None:
    click.echo(text)
    sys.stdout.flush()


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def guarded() -> None:
    """Runs the command; whatever goes wrong is one sentence."""
    try:
        main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (DemoError, LabError) as error:
        click.echo(f"kadeploy_demo: {error}", err=True)
        sys.exit(1)
    except OSError as error:
        click.echo(f"kadeploy_demo: {error.strerror}: {error.filename}", err=True)
        sys.exit(1)
    except (KeyboardInterrupt, click.Abort):
        click.echo("kadeploy_demo: interrupted; everything that was started has been ended", err=True)
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    guarded()
