"""How people name what is followed, and its states."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from kadeploy.deployer.v1 import deployment_pb2
from kadeploy_cli.terminal.plain import word


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """`noun`: "deployment"; `whole` and `nodes`: words in place of the contract's, by state."""

    noun: str
    whole: Mapping[int, str] = field(default_factory=dict)
    nodes: Mapping[int, str] = field(default_factory=dict)

    @property
    def watch_command(self) -> str:
        """The command that follows it, but for its id."""
        return f"ka {self.noun} watch"

    def of_whole(self, state: int) -> str:
        """Returns how the state of the whole is called."""
        return self.whole.get(state) or word(deployment_pb2.DeploymentState.DESCRIPTOR, state)

    def of_node(self, state: int) -> str:
        """Returns how the state of a node is called."""
        return self.nodes.get(state) or word(deployment_pb2.PartitionState.DESCRIPTOR, state)


DEPLOYMENT_WORDS = Words(noun="deployment")
OPERATION_WORDS = Words(
    noun="operation",
    whole={deployment_pb2.DEPLOYMENT_STATE_DEPLOYING: "running"},
    nodes={
        deployment_pb2.PARTITION_STATE_TO_DEPLOY: "to do",
        deployment_pb2.PARTITION_STATE_DEPLOYING: "doing",
        deployment_pb2.PARTITION_STATE_DEPLOYED: "done",
    },
)
