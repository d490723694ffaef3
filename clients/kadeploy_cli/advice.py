"""What to try next: the reason that a service gives, and a sentence for it. A reason that is not here gets none."""

FOR_ADMINISTRATORS = "This is for administrators; your certificate (on sockets `user` in client.toml) says who you are."

ADVICE: dict[str, str] = {
    "NODE_NOT_FOUND": "`ka node list` shows the nodes that are registered.",
    "NODE_EXISTS": "`ka node show NAME` shows what stands there; kadelnode removes it, `ka node update` changes it.",
    "ADDRESS_TAKEN": "`ka node list` shows which node has which address.",
    "INVALID_NODE_SET": "Node sets look like node-[1-16,20].",
    "CLUSTER_NOT_FOUND": "`ka cluster list` shows the clusters; `ka cluster create` makes one.",
    "CLUSTER_EXISTS": "`ka cluster update NAME FILE` changes its profile.",
    "CLUSTER_IN_USE": "`ka node list --cluster NAME` shows its nodes; move or delete them first.",
    "ENVIRONMENT_NOT_FOUND": "`kaenvironments` lists yours and the public ones; -l USER names another owner.",
    "ENVIRONMENT_EXISTS": "Record the new content under a new version (-v N).",
    "INVALID_ENVIRONMENT": "docs/commands.md lists the fields of an environment's description.",
    "STALE_ETAG": "Somebody else changed it meanwhile: look at it again, then repeat the command.",
    "RIGHT_MISSING": "An administrator grants the right: kaadduser -l USER -m NODE -p PARTITION.",
    "CALLER_NOT_ALLOWED": FOR_ADMINISTRATORS,
    "NODES_BUSY": "`ka deployment list` shows who works on them; --busy wait --wait-timeout S waits for them.",
    "ANOTHER_DEPLOYMENT_WAITING": "--busy wait --wait-timeout S waits for them, in the order of arrival.",
    "ENVIRONMENT_UNUSABLE": "`ka environment show NAME` lists its files; the deployer must be able to read them.",
    "NO_NODE_LEFT": "`kadeploy --plan …` with the same options says for each node why.",
    "DEPLOYMENT_NOT_FOUND": "`ka deployment list` shows the deployments.",
    "DEPLOYMENT_FINISHED": "`ka deployment show ID` says how it ended.",
    "NOT_OWNER": "Its owner or an administrator can do this.",
    "NODE_NOT_IN_DEPLOYMENT": "`ka deployment show ID` lists its nodes.",
    "BOOT_ENTRY_NOT_FOUND": "`ka boot list` shows the entries; a node without one boots what the default file says.",
    "NODE_BUSY": "`ka deployment list` shows the deployments; an operation ends by itself, so try again in a moment.",
    "NOTHING_DEPLOYED_THERE": "`kanodes -listpartition` shows what is installed on every partition.",
    "POWER_FAILED": "The commands of the cluster's profile reach the nodes: `ka cluster show NAME`.",
    "CONSOLE_NOT_CONFIGURED": "`ka cluster update` gives the cluster a console command: docs/commands.md.",
    "CONSOLE_IN_USE": "One user at a time; ask him to leave it (Ctrl-]).",
    "NOT_THERE_AFTER_REBOOT": "`kaconsole -m NODE` shows what the node says.",
    "WRONG_SYSTEM_BOOTED": "`ka boot check` and `kaconsole -m NODE` show why it does not boot what its entry says.",
    "NODE_UNREACHABLE": "The deployer logs in on systems that it deployed; `kaconsole -m NODE` shows what runs there.",
    "COMMAND_TIMED_OUT": "--timeout S gives it more time.",
    "OUTCOME_UNKNOWN": "`kapower --status` and `kaconsole` show how the node is; then repeat the command for it.",
    "OPERATION_STOPPED": "Repeat the command for the nodes that were left alone.",
    "NOT_ADMINISTRATOR": FOR_ADMINISTRATORS,
    "ADMINISTRATORS_ONLY": FOR_ADMINISTRATORS,
    "NOT_YOURS": "Its owner or an administrator can do this.",
    "UNKNOWN_USER": "Your certificate says on whose behalf you call; on sockets `user` in client.toml does.",
    "LABEL_NOT_FOUND": "`ka label list` shows the deployment kernels.",
    "INVALID_CLUSTER": "docs/commands.md lists the keys of a profile.",
    "INVALID_PARTITION_TABLE": "docs/commands.md says what a description of nodes can hold.",
    "CONCURRENT_CHANGE": "Repeat the command.",
    "GOING_AWAY": "The service is being restarted: repeat the command in a moment.",
    "UNSAFE_ADDRESS": "Certificates are named in [tls] of client.toml; docs/identity.md says where they come from.",
    "UNUSABLE_CERTIFICATE": "An administrator makes certificates: `ka pki issue` or `ka pki renew`.",
    "CERTIFICATE_REVOKED": "An administrator makes a new one: `ka pki issue user NAME`.",
    "CERTIFICATE_EXPIRED": "An administrator makes a new one: `ka pki renew user NAME`.",
}


def for_reason(reason: str) -> str:
    """Returns what a user can try after an error with this reason, empty when there is nothing to say."""
    return ADVICE.get(reason, "")
