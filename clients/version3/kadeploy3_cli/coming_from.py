"""Writes the tables of docs/coming-from-kadeploy.md: every command and option of Kadeploy 2 and 3, and what it is here.

`python -m kadeploy3_cli.coming_from docs/coming-from-kadeploy.md` rewrites what stands after the marker. What an option
is here comes from the commands themselves; an option that is neither understood nor refused with advice is an error.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence

import click

from kadeploy3_cli.commands import VERSION_3
from kadeploy_cli.reference import CLASSIC, rewrite
from kadeploy_cli.terminal.classic_command import ClassicCommand

MARKER = "<!-- What follows is written by `python -m kadeploy3_cli.coming_from docs/coming-from-kadeploy.md`. -->\n"
_CLIENT = "-v --version -I --server-info -M --multi-server -H --debug-http -S --server --dry-run --password"
_WORKFLOW = (
    f"{_CLIENT} -f --file -m --machine -n --output-ko-nodes -o --output-ok-nodes -s --script -V --verbose-level -d "
    "--debug-mode --write-workflow-id --wait --no-wait --force --no-force --breakpoint --custom-steps --hook --no-hook"
)
OPTIONS_3: Mapping[str, str] = {
    "kadeploy3": f"-a --env-file -e --env-name -u --env-user --env-version -b --block-device -c --boot-partition -p "
    "--partition-number -k --key -r --reformat-tmp --vlan -w --set-pxe-profile --set-pxe-pattern -x --upload-pxe-files "
    "--no-kexec --disable-bootloader-install --disable-disk-partitioning --reboot-classical-timeout "
    f"--reboot-kexec-timeout --force-steps --secure --no-secure {_WORKFLOW}",
    "kareboot3": "-r --reboot-kind -l --op-level -e --env-name -u --env-user --env-version -b --block-device -p "
    "--partition-number -c --check-destructive-tag -k --key --vlan -w --set-pxe-profile --set-pxe-pattern -x "
    f"--upload-pxe-files {_WORKFLOW}",
    "kapower3": f"--on --off --status -l --op-level {_WORKFLOW}",
    "kaconsole3": f"-m --machine {_CLIENT}",
    "kaenv3": "-a --add -d --delete -l --list -p --print -s --show-all-versions -t --visibility-tag -u --env-user "
    "--env-version --toggle-destructive-tag --set-visibility-tag --update-image-checksum --update-preinstall-checksum "
    f"--update-postinstalls-checksum --move-files -m --files-to-move --secure {_CLIENT}",
    "karights3": "-a --add -d --delete -l --list -f --file -m --machine -o --overwrite-rights -p --part -u --user "
    f"{_CLIENT}",
    "kanodes3": "-s --get-nodes-state -d --get-deployments-status -r --get-reboots-status -p --get-powers-status -c "
    f"--get-consoles-status -a --get-all-status -f --file -m --machine -w --workflow-id {_CLIENT}",
    "kastat3": "-a --all -b --failure-rate -f --file -F --fields -m --machine -o --operation -r --min-retries -s "
    f"--retry-steps -w --workflow-id -x --date-min -y --date-max --limit --sort {_CLIENT}",
}
OPTIONS_2: Mapping[str, str] = {
    "kadeploy": "-m --machine -f --file -e --environment -l --login -d --device -p --partition -r --reformat-tmp -F "
    "--fast-kernel-reboot -u --use-prod-env --grub --loadpartitionfile --lpf -k --keys -s --script -a --append -z -D "
    "-C -h -V",
    "kareboot": "-s --soft -h --hard -d --deploy -n --noreboot -m --machine -f --file -e -p -kp --kernel-parameters -v "
    "-C --grub",
    "kaconsole": "-m -C",
    "kaaddkeys": "-k --key-file -m -f -v -C -D",
    "karemote": "-m -f -c --command -v -C",
    "karecordenv": "-z --cluster -n -v -d -a -s -k -i -p -fb -ft -fd -fs -o -fe",
    "kaenvironments": "-e -a --add -d --delete -l --login --listlogin -z --cluster -m -f -C -h",
    "kanodes": "-add -del -listnode -listpartition -z --cluster -C -h",
    "kaadduser": "-l -m -p -C",
    "kadeluser": "-l -m -p -C",
    "kastats": "-z --cluster -C -h",
}
# What an option of version 2 is here, where the same word means something else.
OTHERWISE_2: Mapping[tuple[str, str], str] = {
    ("kadeploy", "-a"): "names a description to deploy here; the lists of nodes are `-o FILE` and `-n FILE`",
    ("kadeploy", "--append"): "the lists of nodes are `-o FILE` and `-n FILE`",
}
COMMANDS_2: Sequence[tuple[str, str]] = (
    ("kadatabase", "`kadeploy-inventory db` and `kadeploy-deployer db` make and migrate the databases"),
    ("kasetup", "[install.md](install.md); `ka boot check` looks at the TFTP tree"),
    ("setup_pxe.pl", "`ka boot set`, `ka boot clear`, `ka boot show`"),
    ("migratenv", "`karecordenv -l USER` records an environment as another user's"),
    ("karate", "the lab of the project's own tests"),
    ("kavlan", "nothing: nodes are deployed in the network that they are in"),
)
COMMANDS_3: Sequence[tuple[str, str]] = (
    ("kadeploy3d", "`kadeploy-inventory`, `kadeploy-deployer` and `kadeploy-bootctl`, as units of systemd"),
)


class NoAnswer(Exception):
    """An option is neither understood nor refused with advice."""


def render() -> str:
    """Returns the tables as Markdown."""
    parts = ["## Version 3, option by option\n"]
    by_name = {str(command.name): command for command in (*CLASSIC, *VERSION_3)}
    for name, words in OPTIONS_3.items():
        parts += [f"### {name}\n", _table(by_name[name], words.split())]
    parts += ["### Other commands of version 3\n", _others(COMMANDS_3), "## Version 2, option by option\n"]
    for name, words in OPTIONS_2.items():
        parts += [f"### {name}, version 2\n", _table(by_name[name], words.split())]
    parts += ["### Other commands of version 2\n", _others(COMMANDS_2)]
    return "\n".join(parts)


def _table(command: click.Command, words: Sequence[str]) -> str:
    rows = [f"| {' '.join(f'`{word}`' for word in names)} | {answer} |" for names, answer in _answers(command, words)]
    return "\n".join(["| Option | Here |", "| --- | --- |", *rows, ""])


def _others(commands: Sequence[tuple[str, str]]) -> str:
    rows = [f"| `{name}` | {answer} |" for name, answer in commands]
    return "\n".join(["| Command | Here |", "| --- | --- |", *rows, ""])


def _answers(command: click.Command, words: Sequence[str]) -> Iterator[tuple[list[str], str]]:
    """Gives the words that get the same answer, with it."""
    together: dict[str, list[str]] = {}
    for word in words:
        together.setdefault(answer_of(command, word), []).append(word)
    for answer, names in together.items():
        yield names, answer


def answer_of(command: click.Command, word: str) -> str:
    """Returns what an option is here. Raises NoAnswer."""
    known = OTHERWISE_2.get((str(command.name), word))
    if known:
        return f"otherwise: {known}"
    context = click.Context(command, info_name=command.name)
    for option in command.get_params(context):
        if isinstance(option, click.Option) and word in (*option.opts, *option.secondary_opts):
            return _of_option(option, word)
    advice = command.instead.get(word) if isinstance(command, ClassicCommand) else None
    if advice is None:
        raise NoAnswer(f"{command.name} {word}")
    return f"refused: {advice}".replace("|", "\\|")


def _of_option(option: click.Option, word: str) -> str:
    if option.hidden:
        # Those of the two words that say what is done anyway are accepted.
        is_default = (word in option.opts) == bool(option.default)
        return "accepted: it changes nothing" if is_default else "refused, with the words to type instead"
    text = (option.help or "Show the options.").replace("|", "\\|").replace("\n", " ").strip()
    return f"understood: {text}"


def main() -> int:
    """Rewrites the tables of the page that the command line names."""
    return rewrite(sys.argv[1:], MARKER, render)


if __name__ == "__main__":
    sys.exit(main())
