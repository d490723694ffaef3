"""The class of the classic commands: what was typed is done, or refused with the words to type instead.

Kadeploy 2 and 3 have words and letters that mean something else here, or that nothing here stands for. A script must
never take such a command line for a success.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import click

from kadeploy_cli.terminal.failures import UsageFailure

DISTRIBUTION = "kadeploy-client"
VERSION_ADVICE = (
    "Leave it out: --verbose says more when something goes wrong. Kadeploy 3's -V LEVEL is understood by the commands "
    "whose names end with 3, such as kadeploy3."
)
_LEVEL = re.compile(r"-V\d")

# Options of all commands of Kadeploy 3, or of 2, that nothing here stands for.
INSTEAD: Mapping[str, str] = {
    "-D": "--verbose says more when something goes wrong",
    "-C": "--config FILE names the settings",
    "--debug-mode": "--verbose says more when something goes wrong",
    "--verbose-level": "--verbose says more when something goes wrong",
    "-M": "each client.toml names one site: --config FILE names that of another site",
    "--multi-server": "each client.toml names one site: --config FILE names that of another site",
    "-S": "each client.toml names one site: --config FILE names that of another site",
    "--server": "each client.toml names one site: --config FILE names that of another site",
    "-I": "`ka cluster list` and `ka cluster show NAME` show the site",
    "--server-info": "`ka cluster list` and `ka cluster show NAME` show the site",
    "--password": "a certificate says who you are: [tls] in client.toml",
    "-H": "--verbose says more when something goes wrong",
    "--debug-http": "--verbose says more when something goes wrong",
    "-v": "--verbose says more when something goes wrong",
    "-h": "--help shows the options",
    "--dry-run": "kadeploy --plan says what a deployment would do; nothing else can be tried so",
}

version_option = click.version_option(
    None, "-V", "--version", "show_version", package_name=DISTRIBUTION, help="Print the version; stands alone."
)


class AloneVersion(click.Command):
    """A command that prints its version when this is all that is asked, and refuses -V beside anything else."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Checks the words, but for those of completion, which has half a command line, and parses them."""
        if not ctx.resilient_parsing:
            self._check_words(ctx, tuple(args))
        return super().parse_args(ctx, args)

    def _check_words(self, ctx: click.Context, words: Sequence[str]) -> None:
        """Refuses what must not be done half."""
        try:
            given, _, _ = self.make_parser(ctx).parse_args(list(words))
        except click.NoSuchOption:
            if any(_LEVEL.match(word) for word in words):
                raise _not_alone() from None
            raise
        if given.get("show_version") and len(words) > 1:
            raise _not_alone()


def _not_alone() -> UsageFailure:
    return UsageFailure(
        "-V, or --version, prints the version and stands alone: nothing was done", advice=VERSION_ADVICE
    )


class VersionedGroup(AloneVersion, click.Group):
    """A group of commands whose -V stands alone."""


class ClassicCommand(AloneVersion):
    """A command with a name and options that people know from Kadeploy 2 and 3.

    Args:
        instead: by an option that this command does not have: what to type instead.
        elsewhere: by an option that means something else in Kadeploy 2 or 3: what it means here, and what to type.
    """

    def __init__(
        self,
        *args: Any,
        instead: Mapping[str, str] | None = None,
        elsewhere: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.instead = {**INSTEAD, **(instead or {})}
        self._elsewhere = elsewhere or {}

    def _check_words(self, ctx: click.Context, words: Sequence[str]) -> None:
        try:
            super()._check_words(ctx, words)
        except click.NoSuchOption as error:
            if sentence := self.instead.get(error.option_name):
                raise UsageFailure(
                    f"{error.option_name} is not an option of {self.name}",
                    advice=f"{sentence[:1].upper()}{sentence[1:]}.",
                ) from None
            raise
        given, rest, _ = self.make_parser(ctx).parse_args(list(words))
        self._refuse_swallowed(ctx, given)
        self._refuse_stray(words, given, rest)

    def _refuse_swallowed(self, ctx: click.Context, given: Mapping[str, Any]) -> None:
        """Refuses an option that another one took as its value: `-d -f nodes`."""
        options = [option for option in self.get_params(ctx) if isinstance(option, click.Option)]
        words = {word for option in options for word in option.opts}
        for option in options:
            values = given.get(option.name or "")
            for value in values if isinstance(values, list | tuple) else [values]:
                if isinstance(value, str) and value in words:
                    raise UsageFailure(
                        f"{'/'.join(option.opts)} needs {option.metavar or 'a value'}, and {value} is an option",
                        advice=self._advice(option.opts),
                    )

    def _refuse_stray(self, words: Sequence[str], given: Mapping[str, Any], rest: Sequence[str]) -> None:
        """Says of a word too many which option it was meant for."""
        for argument in self.params:
            # A word that is none of the words that may stand there was meant for something else.
            value = given.get(argument.name or "") if isinstance(argument, click.Argument) else None
            known = argument.type.choices if isinstance(argument.type, click.Choice) else ()
            if isinstance(value, str) and value not in known:
                rest = [value, *rest]
        for word in rest:
            before = words[words.index(word) - 1] if word in words[1:] else ""
            if sentence := self._elsewhere.get(before):
                raise UsageFailure(f"{before} takes no value here, and {word} stands behind it", advice=f"{sentence}.")

    def _advice(self, names: Sequence[str]) -> str:
        return next((f"{self._elsewhere[name]}." for name in names if name in self._elsewhere), "")
