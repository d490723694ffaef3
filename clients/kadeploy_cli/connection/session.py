"""One run of one command: its settings, its connections and its output form, made when they are first needed."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import click

from kadeploy_cli.connection.connect import Bootctl, Deployer, Inventory, Peer
from kadeploy_cli.connection.settings import Settings
from kadeploy_cli.terminal import tables
from kadeploy_cli.terminal.output import Format
from kadeploy_edge.request_id import current_request_id, new_request_id

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


LIST_OPTIONS = (
    click.option("--columns", "table_columns", default="", metavar="NAMES", help="Of the table: these, in this order."),
    click.option("--sort", "table_sort", default="", metavar="COLUMN", help="By this column; -COLUMN: the other way."),
    click.option("--wide", "table_wide", is_flag=True, help="All columns, each row on one line, on a terminal, too."),
)


class Session:
    """What a command's function needs of the world."""

    def __init__(self, *, config: Path | None, form: Format, insecure: bool = False) -> None:
        self._config = config
        self._insecure = insecure
        self.form = form
        # Whether the result alone is shown, and nothing of the way to it.
        self.quiet = False
        self._peers: list[Peer] = []
        # All calls of a command are one request, in the logs of all services.
        current_request_id.set(new_request_id())

    @functools.cached_property
    def settings(self) -> Settings:
        """What client.toml says; read when something of it is needed."""
        settings = Settings.load(self._config)
        return replace(settings, insecure=True) if self._insecure else settings

    @functools.cached_property
    def inventory(self) -> Inventory:
        """The inventory service."""
        return self._kept(Inventory(self.settings))

    @functools.cached_property
    def deployer(self) -> Deployer:
        """The deployer service."""
        return self._kept(Deployer(self.settings))

    @functools.cached_property
    def bootctl(self) -> Bootctl:
        """The bootctl service."""
        return self._kept(Bootctl(self.settings))

    def close(self) -> None:
        """Closes every connection that was opened."""
        for peer in self._peers:
            peer.close()

    def _kept(self, peer: "PeerKind") -> "PeerKind":
        self._peers.append(peer)
        return peer


PeerKind = TypeVar("PeerKind", bound=Peer)


def command_options(
    *output_names: str,
    form: Format | None = Format.TABLE,
    follows: bool = False,
    lists: bool = False,
    verbose_names: Sequence[str] = ("--verbose",),
) -> Callable[[Callable[Concatenate[Session, Parameters], Result]], Callable[Parameters, Result]]:
    """Gives a command the options that all have, and its function a Session as first argument.

    Args:
        output_names: how the output form is called: "-o" and "--output" unless said otherwise.
        form: the default output form; None for a command that prints no result.
        follows: it follows something that goes on, and can print each event as a line of JSON.
        verbose_names: how the option is called that says more about errors.
        lists: it prints a table whose columns and order can be chosen.
    """

    def decorate(
        function: Callable[Concatenate[Session, Parameters], Result],
    ) -> Callable[Parameters, Result]:
        @functools.wraps(function)
        def with_session(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
            options: dict[str, Any] = kwargs
            config = options.pop("config")
            options.pop("verbose")
            insecure = options.pop("insecure")
            chosen = options.pop("output_form", Format.TABLE)
            if lists:
                click.get_current_context().meta[tables.META_KEY] = tables.TableStyle(
                    columns=tuple(name for name in options.pop("table_columns").split(",") if name.strip()),
                    sort=options.pop("table_sort"),
                    wide=options.pop("table_wide"),
                )
            session = Session(
                config=Path(config) if config else None,
                form=Format.TABLE if chosen == Format.TEXT else Format(chosen),
                insecure=insecure,
            )
            context = click.get_current_context()
            context.obj = session
            context.call_on_close(session.close)
            return function(session, *args, **kwargs)

        decorated: Any = with_session
        if form is not None:
            decorated = click.option(
                *(output_names or ("-o", "--output")),
                "output_form",
                type=click.Choice([str(choice) for choice in (*_choices(form), *([Format.NDJSON] if follows else []))]),
                default=str(form),
                show_default=True,
                help="How the result is printed.",
            )(decorated)
        if lists:
            for option in reversed(LIST_OPTIONS):
                decorated = option(decorated)
        decorated = click.option(*verbose_names, is_flag=True, help="Say more when something goes wrong.")(decorated)
        decorated = click.option("--insecure", is_flag=True, help="Call in plain text, on loopback alone.")(decorated)
        decorated = click.option("--config", metavar="FILE", help="The settings, instead of the usual client.toml.")(
            decorated
        )
        result: Callable[Parameters, Result] = decorated
        return result

    return decorate


def _choices(form: Format) -> list[Format]:
    """Returns the output forms that a command offers: kadeploy's have other names than the lists' have."""
    if form is Format.TEXT:
        return [Format.TEXT, Format.JSON]
    return [Format.TABLE, Format.JSON, Format.NAME]


def finish(code: int) -> None:
    """Ends the command with an exit status."""
    click.get_current_context().exit(int(code))
