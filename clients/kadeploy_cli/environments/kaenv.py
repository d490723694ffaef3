"""kaenv: environments with the options of Kadeploy 3."""

import click

from kadeploy_cli.connection.session import Session, command_options, finish
from kadeploy_cli.environments import actions as environments
from kadeploy_cli.environments import describing, moved_files
from kadeploy_cli.environments.oci_commands import from_oci
from kadeploy_cli.terminal import foreign_words
from kadeploy_cli.terminal.classic_command import ClassicCommand, version_option
from kadeploy_cli.terminal.failures import UsageFailure

ALL = "*"
VISIBILITY = click.Choice(["private", "shared", "public"])
CHECKSUMS = {
    "image": environments.IMAGE,
    "preinstall": environments.PREINSTALL,
    "postinstalls": environments.POSTINSTALLS,
}


class KaenvCommand(ClassicCommand):
    """kaenv, whose first word may be `from-oci`, a command with options of its own."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Hands the words behind `from-oci` on."""
        if args[:1] == [str(from_oci.name)]:
            from_oci.main(args[1:], prog_name=f"{ctx.info_name} {from_oci.name}", standalone_mode=False)
            ctx.exit(0)
        return super().parse_args(ctx, args)


@click.command(cls=KaenvCommand, instead=foreign_words.ENVIRONMENTS)
@click.argument("bare", required=False, metavar="[NAME]")
@click.option(
    "-a",
    "--add",
    "added",
    metavar="FILE",
    help='Record the environment of a description: a file, its URL, "-" for stdin.',
)
@click.option("-d", "--delete", "removed", metavar="NAME", help="Remove it.")
@click.option(
    "-l",
    "--list",
    "listed",
    is_flag=False,
    flag_value=ALL,
    metavar="[PATTERN]",
    help="List those that you may use; with a pattern, such as 'debian*', those whose name or alias fits.",
)
@click.option(
    "-p", "--print", "printed", metavar="NAME", help="Print its description, which -a reads; so does NAME alone."
)
@click.option("-s", "--show-all-versions", "all_versions", is_flag=True, help="With -l: not the latest ones alone.")
@click.option("-u", "--env-user", "owner", default="", metavar="USER", help="Of this owner.")
@click.option("--env-version", "version", type=click.IntRange(1), metavar="N", help="This version.")
@click.option("-t", "--visibility-tag", "visibility", type=VISIBILITY, help="Who may use it; with -a and the next one.")
@click.option("--set-visibility-tag", "shared", metavar="NAME", help="Set the visibility that -t names.")
@click.option("--update-image-checksum", "image", metavar="NAME", help="Accept the image as it is now.")
@click.option("--update-preinstall-checksum", "preinstall", metavar="NAME", help="Accept the pre-install archive.")
@click.option(
    "--update-postinstalls-checksum", "postinstalls", metavar="NAME", help="Accept the post-install archives."
)
@click.option("--toggle-destructive-tag", "toggled", metavar="NAME", help="Turn its destructive flag over.")
@click.option(
    "--move-files",
    "move",
    is_flag=True,
    help="Change where files are, in all environments that you own (administrators: in all).",
)
@click.option(
    "-m",
    "--files-to-move",
    "moves",
    metavar="OLD::NEW,…",
    help="With --move-files: beginnings of addresses and what stands there from now on.",
)
@version_option
@command_options(lists=True)
def kaenv(
    session: Session,
    /,
    *,
    bare: str | None,
    listed: str | None,
    all_versions: bool,
    owner: str,
    version: int | None,
    visibility: str | None,
    move: bool,
    moves: str | None,
    **named: str | None,
) -> None:
    """Records, lists, prints, changes and removes environments, as Kadeploy 3's command did."""
    named["bare"] = bare
    chosen = [(what, name) for what, name in named.items() if name is not None]
    if len(chosen) + (listed is not None) + move != 1:
        raise UsageFailure("one thing to do is needed", advice="`kaenv --help` lists them: -a, -d, -l, -p, …")
    if listed is not None:
        finish(environments.show_list(session, owner=owner, latest=not all_versions, pattern=listed))
    if move:
        finish(moved_files.move(session, moved_files.parse(moves or ""), owner=owner))
    _do(session, *chosen[0], owner=owner, version=version, visibility=visibility)


def _do(session: Session, what: str, name: str, *, owner: str, version: int | None, visibility: str | None) -> None:
    """Does what is asked for one environment."""
    if what == "added":
        options = {"visibility": visibility, "version": str(version) if version else None}
        finish(environments.record(session, file=name, options=options, owner=owner))
    if what == "removed":
        finish(environments.delete(session, name, version, owner))
    if what in {"printed", "bare"}:
        finish(describing.print_description(session, name, version, owner))
    if what == "shared" and visibility is None:
        raise UsageFailure("--set-visibility-tag needs -t private, shared or public")
    reference = environments.reference(name, version, owner)
    if what == "shared":
        finish(environments.update(session, reference, visibility=visibility))
    if what == "toggled":
        finish(environments.update(session, reference, toggle_destructive=True))
    finish(environments.update(session, reference, accepted=(CHECKSUMS[what],)))
