"""What is written to the journal of a deployment, besides the transitions of its nodes."""

from dataclasses import dataclass
from typing import ClassVar

from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.transition import Transition


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeReleased:
    """Nothing more is done to a node in error: its lock is given up."""

    node: str
    grows: ClassVar[bool] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputEntry:
    """What a step printed on a node, to be appended."""

    node: str
    step: str
    attempt: int
    text: str
    # Outputs are large and can wait for room; what a deployment needs to end is small.
    grows: ClassVar[bool] = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RemarkEntry:
    """A sentence about a node, or, with an empty node, about the deployment."""

    node: str
    text: str
    grows: ClassVar[bool] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FactsLearned:
    """What is known of a node in the middle of a step, before it does what must not be done twice."""

    node: str
    facts: NodeFacts
    grows: ClassVar[bool] = False


JournalEntry = Transition | FactsLearned | NodeReleased | OutputEntry | RemarkEntry
"""`grows`: whether it needs room on the disk that what ends a node must not lack."""
