"""Commands of single nodes; those that all nodes of a cluster have alike become the cluster's."""

from collections import defaultdict

from kadeploy.inventory.v1 import command_template_pb2
from kadeploy_cli.imports.plan import ImportPlan

Commands = dict[str, tuple[str, ...]]


def assign(plan: ImportPlan, commands: dict[str, Commands]) -> None:
    """Gives clusters what their nodes have in common, and nodes the rest. `commands`: by node, then by template."""
    members: dict[str, list[str]] = defaultdict(list)
    for name, node in plan.nodes.items():
        members[node.cluster or "default"].append(name)
    for cluster, names in members.items():
        kinds = {kind for name in names for kind in commands.get(name, {})}
        for kind in sorted(kinds):
            found = {commands.get(name, {}).get(kind, ()) for name in names}
            if len(found) == 1:
                profile = plan.cluster(cluster)
                _set(profile.message.commands, kind, found.pop())
                profile.said("commands")
                continue
            for name in names:
                if kind in commands.get(name, {}):
                    _set(plan.nodes[name].commands, kind, commands[name][kind])
    for name in sorted(commands.keys() - plan.nodes.keys()):
        plan.notice(name, f"has commands ({', '.join(commands[name])}), but is not among the nodes")


def assign_own(plan: ImportPlan, commands: dict[str, Commands]) -> None:
    """Gives nodes their own commands, which win over the cluster's."""
    for name, own in commands.items():
        if name not in plan.nodes:
            plan.notice(name, f"has commands ({', '.join(own)}), but is not among the nodes")
            continue
        for kind, arguments in own.items():
            _set(plan.nodes[name].commands, kind, arguments)


def _set(templates: command_template_pb2.CommandTemplates, kind: str, arguments: tuple[str, ...]) -> None:
    getattr(templates, kind).arguments[:] = arguments
