"""`ka node diagnose`: why a node did not come."""

from kadeploy.deployer.v1 import deployer_service_pb2, deployment_pb2
from kadeploy_cli.connection.session import Session
from kadeploy_cli.deployments.watching.steps import step_words
from kadeploy_cli.terminal import output
from kadeploy_cli.terminal.exit_codes import ExitCode
from kadeploy_cli.terminal.plain import plain, word

DEADLINE = 60.0
"""The node is asked for its power and by ssh, which may take its time."""
NEXT_STEPS = {
    "power": "`kapower --on -m NODE` switches it on; the power commands stand in the cluster's profile.",
    "dhcp_request": "Check that it is on (`kapower --status`), its cable, that it boots from the network first, and "
    "its hardware address (`ka node show NODE`).",
    "dhcp_answer": "Give its hardware address to the DHCP server: `ka dhcp render`.",
    "boot_loader": "The DHCP server must name the boot server and its loader: `ka dhcp render`, `ka boot check`.",
    "boot_file": "`ka boot check` and `ka boot reconcile` compare the boot files with what should be there.",
    "kernel": "`kaconsole -m NODE` shows what the kernel says; its arguments must name the serial console.",
    "kernel_panic": "The kernel or its arguments do not fit this machine: `ka boot show NODE`.",
    "driver": "Build the deployment environment with the driver or its firmware: docs/deployment-environment.md.",
    "network": "Check cable, switch port and VLAN, and that the DHCP server answers the system, too.",
    "disk": "Check the disk and its controller, and the device's name in `ka node show NODE`.",
    "ssh": "Check that the deployer's host reaches the node's port 22, and the cluster's key.",
    "wrong_system": "`ka boot show NODE` says what it should boot; the firmware must boot from the network first.",
}


def show(session: Session, name: str) -> ExitCode:
    """Prints where the last boot of a node broke, the evidence, and what to try."""
    deployer = session.deployer
    request = deployer_service_pb2.GetNodeDiagnosisRequest(node=name)
    found = deployer.call(deployer.states.GetNodeDiagnosis, request, deadline=max(DEADLINE, deployer.deadlines.call))
    if session.form is not output.Format.TABLE:
        output.show(session.form, columns=(), rows=(), data=plain(found), names=[found.node])
        return ExitCode.OK
    place = word(deployer_service_pb2.BootPlace.DESCRIPTOR, found.place)
    output.show_fields(
        [
            ("node", found.node),
            ("boot", found.description or "nothing is known of its last boot"),
            ("place", place.replace("_", " ")),
            ("power", word(deployer_service_pb2.PowerState.DESCRIPTOR, found.power_state) or "unknown"),
            ("ssh", found.ssh),
            ("deployment", found.deployment_id),
            ("state", word(deployment_pb2.PartitionState.DESCRIPTOR, found.state).replace("_", " ")),
            ("step", step_words(found.step)),
            ("failure", found.failure),
        ]
    )
    output.show_text("", "")
    output.show_table(
        ("TIME", "WHAT HAPPENED", "SOURCE"),
        [(output.local_time(each.time), each.text, each.source) for each in found.evidence],
    )
    for problem in found.problems:
        output.say(problem)
    if place in NEXT_STEPS:
        output.say(NEXT_STEPS[place].replace("NODE", found.node))
    return ExitCode.OK
