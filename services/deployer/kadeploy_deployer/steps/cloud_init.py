"""Step: writes a seed for cloud-init into the new system, which reads it at its first boot (data source NoCloud)."""

from collections.abc import Mapping, Sequence

from typing_extensions import override

from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.snapshot import CloudInitSeed
from kadeploy_deployer.domain.states import FailureReason, PartitionState
from kadeploy_deployer.nodes.node_failed import NodeFailed
from kadeploy_deployer.steps.deployment_shell import command, try_command, write_file
from kadeploy_deployer.steps.mounts import DESTINATION
from kadeploy_deployer.steps.security_labels import label_files
from kadeploy_deployer.steps.step import Step, StepContext

SEED = "/var/lib/cloud/seed/nocloud"
SETTINGS = "/etc/cloud/cloud.cfg.d/90_kadeploy.cfg"
PROGRAMS = ("/usr/bin/cloud-init", "/usr/local/bin/cloud-init")
# No other source is asked, so that none is waited for.
_SETTINGS_TEXT = (
    "# Written by Kadeploy: the seed is in /var/lib/cloud/seed/nocloud.\ndatasource_list: [NoCloud, None]\n"
)
LABELS = {
    "/var/lib/cloud": "var_lib_t",
    "/var/lib/cloud/seed": "var_lib_t",
    SEED: "var_lib_t",
    f"{SEED}/user-data": "var_lib_t",
    f"{SEED}/meta-data": "var_lib_t",
    f"{SEED}/network-config": "var_lib_t",
    SETTINGS: "etc_t",
}


class CloudInit(Step):
    """See the module. What an earlier system's instance left is removed, so that it counts as a first boot."""

    name = "cloud_init"
    partition_state = PartitionState.DEPLOYING
    timeout = 120.0
    failure_reason = FailureReason.POSTINSTALL_FAILED
    retries = 1

    @override
    def applies(self, context: StepContext, node: str) -> bool:
        return context.spec.cloud_init is not None

    @override
    def describe(self, context: StepContext, node: str) -> Sequence[str]:
        files = seed_files(context, node)
        return [
            f"check that the system has {PROGRAMS[0]}",
            f"write {', '.join(f'{name} ({len(text.encode()):,} bytes)' for name, text in files.items())} to {SEED}",
        ]

    @override
    async def run(self, context: StepContext, node: str) -> NodeFacts:
        await _check_program(context, node)
        instance = f"{DESTINATION}/var/lib/cloud/instance"
        await command(context, node, ("rm", "-f", instance), what="removing an earlier instance of cloud-init")
        await command(context, node, ("rm", "-rf", f"{DESTINATION}{SEED}"), what="removing an earlier seed")
        for name, text in seed_files(context, node).items():
            # It may hold passwords and keys.
            await write_file(context, node, f"{DESTINATION}{SEED}/{name}", text, mode="600")
        await write_file(context, node, f"{DESTINATION}{SETTINGS}", _SETTINGS_TEXT, mode="644")
        await label_files(context, node, LABELS)
        return context.facts[node]


def seed_files(context: StepContext, node: str) -> Mapping[str, str]:
    """Returns the files of a node's seed by name; empty where the request has none."""
    seed = context.spec.cloud_init or CloudInitSeed()
    meta_data = seed.meta_data or "instance-id: {deployment}-{node}\nlocal-hostname: {node}\n"
    # NoCloud takes a seed without user-data for none.
    texts = {"user-data": seed.user_data or "#cloud-config\n{}\n", "meta-data": meta_data}
    if seed.network_config:
        texts["network-config"] = seed.network_config
    return {name: _filled(context, node, text) for name, text in texts.items()}


def _filled(context: StepContext, node: str, text: str) -> str:
    """Fills in what stands for a node; all other braces are the seed's own."""
    values = {
        "{node}": node,
        "{node_short}": node.partition(".")[0],
        "{node_ip}": context.nodes[node].ip_address,
        "{deployment}": context.deployment_id,
    }
    for placeholder, value in values.items():
        text = text.replace(placeholder, value)
    return text


async def _check_program(context: StepContext, node: str) -> None:
    for path in PROGRAMS:
        # A link leads where the new system has it, so it is not followed from here.
        script = '[ -e "$1" ] || [ -L "$1" ]'
        result = await try_command(context, node, ("sh", "-c", script, "has-program", f"{DESTINATION}{path}"))
        if result.exit_status == 0:
            return
    raise NodeFailed(f"the new system of {node} has no cloud-init, so nothing would read the seed")


CLOUD_INIT = CloudInit()
