"""A site of Kadeploy 3: server.conf, clusters.conf, a file for each cluster, command.conf, and its database."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from kadeploy.inventory.v1 import node_pb2
from kadeploy_cli.descriptions import counted_words, yaml_text
from kadeploy_cli.descriptions.text import decode, lines
from kadeploy_cli.descriptions.yaml_text import Place
from kadeploy_cli.imports import kadeploy3_cluster, kadeploy3_database, site_commands
from kadeploy_cli.imports.command_lines import template
from kadeploy_cli.imports.plan import ImportPlan
from kadeploy_cli.nodes import names as node_names
from kadeploy_cli.terminal.failures import UsageFailure

DEFAULT_CONNECTOR = "ssh -A -l root -q -o BatchMode=yes -o StrictHostKeyChecking=no"
SERVICES = "the settings of the services have it"
SERVER: Mapping[str, str] = {
    "database": SERVICES,
    "rights": "administrators are named in the settings of the services",
    "network": "the settings of the services have addresses; no command here changes VLANs",
    "security": "`ka pki` makes certificates",
    "authentication": "a certificate says who calls: `ka pki issue user NAME`",
    "ssh_private_key": SERVICES,
    "logs": SERVICES,
    "verbosity": SERVICES,
    "cache": SERVICES,
    "environments": "directories and sizes are not for the site to choose",
    "pxe": "bootctl writes the boot files: its settings have the TFTP tree",
    "hooks": "a script of the user runs at the end: kadeploy -s",
    "autoclean_threshold": "history_days of the deployer",
}
NODE_COMMANDS: Mapping[str, str] = {
    "reboot_soft": "soft_reboot",
    "reboot_hard": "hard_reboot",
    "reboot_very_hard": "very_hard_reboot",
    "power_on_soft": "power_on",
    "power_on_hard": "power_on",
    "power_on_very_hard": "power_on",
    "power_off_soft": "power_off",
    "power_off_hard": "power_off",
    "power_off_very_hard": "power_off",
    "power_status": "power_status",
    "console": "console",
}


def plan(directory: Path | None, dumps: Sequence[Path], *, addresses: Path | None) -> ImportPlan:
    """Returns what the files of a site come to.

    Args:
        directory: of the configuration; None: there is none.
        dumps: of the database.
        addresses: a file with lines "name MAC", which version 3 has nowhere.
    """
    found = ImportPlan()
    if directory is not None:
        _read_configuration(found, directory, addresses)
    if dumps:
        kadeploy3_database.add(found, dumps)
    return found


def _read_configuration(found: ImportPlan, directory: Path, addresses: Path | None) -> None:
    server = _file(directory / "server.conf")
    shared = kadeploy3_cluster.Shared(connector=DEFAULT_CONNECTOR)
    if server is not None:
        shared = _server(found, server)
    clusters = _file(directory / "clusters.conf")
    if clusters is None:
        raise UsageFailure(
            f"{directory} has no clusters.conf", advice="--config names the directory of the configuration."
        )
    known = _addresses(addresses) if addresses else {}
    for cluster in clusters.fields(("clusters",))["clusters"].items():
        fields = cluster.fields(("name", "prefix", "conf_file", "nodes"))
        name = fields["name"].text().lower()
        profile = found.cluster(name)
        for group in fields["nodes"].items() if "nodes" in fields else ():
            _nodes(found, group, name, known)
        if "conf_file" in fields:
            file = directory / fields["conf_file"].text()
            place = _file(file)
            if place is None:
                found.notice(str(file), f"is not there: the cluster {name} gets the defaults")
            else:
                kadeploy3_cluster.read(found, place, profile, shared)
    own = _file(directory / "command.conf")
    if own is not None:
        site_commands.assign_own(found, dict(_commands(found, own, shared)))


def _file(path: Path) -> Place | None:
    if not path.exists():
        return None
    return yaml_text.parse(decode(node_names.read_file(str(path)), str(path)), str(path))


def _server(found: ImportPlan, server: Place) -> kadeploy3_cluster.Shared:
    """Reads what all clusters share, and notes what has no counterpart."""
    connector, size, pause = DEFAULT_CONNECTOR, 0, None
    mkfs: dict[str, str] = {}
    for key, value in server.entries():
        where = f"{value.source}, line {value.line}: {key}"
        if key == "windows":
            for name, window in value.entries():
                if name != "reboot":
                    found.notice(
                        f"{value.source}, line {window.line}: windows.{name}", "nodes are not looked at in windows"
                    )
                    continue
                reboot = dict(window.entries())
                size = reboot["size"].number(1, 100_000) if "size" in reboot else 0
                pause = reboot["sleep_time"].seconds() if "sleep_time" in reboot else None
        elif key == "external":
            for name, part in value.entries():
                if name == "default_connector":
                    connector = part.text()
                elif name == "mkfs":
                    for each in part.items():
                        options = each.fields(("fstype", "args"))
                        mkfs[options["fstype"].text()] = options["args"].text()
                else:
                    what = "images reach the nodes along a chain of our own"
                    found.notice(f"{value.source}, line {part.line}: external.{name}", what)
        else:
            found.notice(where, SERVER.get(key, "is not known"))
    return kadeploy3_cluster.Shared(connector=connector, window=size, pause=pause, mkfs=mkfs)


def _addresses(file: Path) -> dict[str, str]:
    """Reads the MAC addresses of nodes: lines "name MAC", or "MAC name" as in /etc/ethers."""
    found = {}
    for line in lines(decode(node_names.read_file(str(file)), str(file)), str(file)):
        words = line.text.lower().split()
        if len(words) != 2 or (":" in words[0]) == (":" in words[1]):  # noqa: PLR2004
            raise line.failure('"name MAC" is expected, such as node-1 52:54:00:12:34:01')
        name, address = words if ":" in words[1] else reversed(words)
        found[name] = address
    return found


def _nodes(found: ImportPlan, group: Place, cluster: str, known: Mapping[str, str]) -> None:
    fields = group.fields(("name", "address"))
    names = counted_words.expand(fields["name"], fields["name"].text().lower())
    addresses = counted_words.expand(fields["address"], fields["address"].text())
    if len(names) != len(addresses):
        raise group.failure(f"{len(names)} names and {len(addresses)} addresses do not go together")
    missing = []
    for name, address in zip(names, addresses, strict=True):
        mac = known.get(name) or known.get(name.partition(".")[0])
        if mac is None:
            missing.append(name)
            continue
        found.nodes[name] = node_pb2.Node(
            name=name, mac_address=mac, ip_address=address, cluster=cluster, firmware=node_pb2.FIRMWARE_BIOS
        )
    where = f"{group.source}, line {group.line}"
    if missing:
        what = "version 3 has no MAC addresses: --addresses FILE names them, one `name MAC` a line"
        found.notice(where, f"{len(missing)} nodes from {missing[0]} on are left out: {what}")
    if len(missing) < len(names):
        found.notice(where, "the sizes of disks are nowhere: `ka node update NODES --disks FILE` says them")


def _commands(
    found: ImportPlan, own: Place, shared: kadeploy3_cluster.Shared
) -> Iterator[tuple[str, site_commands.Commands]]:
    """Gives the commands of single nodes."""
    for name, values in own.entries():
        commands: site_commands.Commands = {}
        for key, value in values.entries():
            where = f"{value.source}, line {value.line}: {name}.{key}"
            if key not in NODE_COMMANDS:
                found.notice(where, "is no command here")
                continue
            text = value.text()
            line = found.attempt(where, functools.partial(shared.expanded, text))
            arguments = (
                found.attempt(where, functools.partial(template, line, kadeploy3_cluster.PLACES)) if line else None
            )
            # One command switches a node off here, the hardest of the three.
            if arguments is not None:
                commands[NODE_COMMANDS[key]] = tuple(arguments)
        yield name.lower(), commands
