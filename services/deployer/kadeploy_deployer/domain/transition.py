"""How a node moves through the plan: pure values, one per journalled change. The lifecycle table decides what is legal.

A node is at a position: its state (in a deployment that of its partition), its step, the attempt at it. A transition
leads from one position to the next and is stored as compare-and-set: it changes nothing if the
node is not where the transition begins.
"""

from dataclasses import dataclass, replace

from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.lifecycle import ENTERS, LAST, PartitionTrigger, advance_node
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.states import FAILED, SUCCEEDED, NodeState

ENDED = SUCCEEDED | FAILED
"""The states in which nothing is to be done to a node any more, but to leave it bootable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePosition:
    """Where a node is. `step` is empty before the first step; attempts count from 1."""

    state: NodeState
    step: str = ""
    attempt: int = 0

    @property
    def active(self) -> bool:
        """True while the node walks the plan."""
        return self.state not in ENDED

    @property
    def succeeded(self) -> bool:
        """True when all was done to the node that was to be."""
        return self.state in SUCCEEDED

    @property
    def failed(self) -> bool:
        """True when the node is in error."""
        return self.state in FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTarget:
    """A step that a node enters, and the state that this puts it in."""

    name: str
    state: NodeState


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEnd:
    """How an attempt at a step ended. `final` false: the node tries again."""

    step: str
    attempt: int
    time: float
    failure: Failure | None = None
    final: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One change of a node.

    Attributes:
        node: its name.
        before: where it is.
        after: where it goes.
        ended: the attempt that ended with it.
        facts: what the node's deployment knows of it from here on; None: as before.
        failure: why the node is in error from here on.
    """

    node: str
    before: NodePosition
    after: NodePosition
    ended: StepEnd | None = None
    facts: NodeFacts | None = None
    failure: Failure | None = None

    @property
    def grows(self) -> bool:
        """True when something begins with it; what ends gets the reserve of a full disk."""
        return self.enters_step

    @property
    def enters_step(self) -> bool:
        """True when an attempt at a step begins with it."""
        return self.after.active


def enter(node: str, before: NodePosition, step: StepTarget) -> Transition:
    """Returns the transition into a step's first attempt. Raises IllegalTransition."""
    return Transition(node=node, before=before, after=_entered(before, step))


def finish(
    node: str, before: NodePosition, *, following: StepTarget | None, facts: NodeFacts | None, time: float
) -> Transition:
    """Returns the transition of a node that did its step: into the following one, or, without one, to its good end.

    Raises IllegalTransition.
    """
    ended = StepEnd(step=before.step, attempt=before.attempt, time=time)
    if following is not None:
        after = _entered(before, following)
    else:
        end = advance_node(before.state, LAST.get(before.state, PartitionTrigger.SEEN))
        after = NodePosition(state=end, step=before.step, attempt=before.attempt)
    return Transition(node=node, before=before, after=after, ended=ended, facts=facts)


def retry(node: str, before: NodePosition, failure: Failure, *, time: float) -> Transition:
    """Returns the transition into the next attempt at the same step."""
    ended = StepEnd(step=before.step, attempt=before.attempt, time=time, failure=failure, final=False)
    after = NodePosition(state=before.state, step=before.step, attempt=before.attempt + 1)
    return Transition(node=node, before=before, after=after, ended=ended)


def fail(
    node: str,
    before: NodePosition,
    failure: Failure,
    *,
    trigger: PartitionTrigger = PartitionTrigger.FAIL,
    time: float | None = None,
) -> Transition:
    """Returns the transition to `error`. `time`: when the attempt at the step ended; None: it was broken off."""
    ended = None
    if time is not None and before.step:
        ended = StepEnd(step=before.step, attempt=before.attempt, time=time, failure=failure)
    after = NodePosition(state=advance_node(before.state, trigger), step=before.step, attempt=before.attempt)
    return Transition(node=node, before=before, after=after, ended=ended, failure=failure)


def fail_after(node: str, before: NodePosition, failure: Failure, *, facts: NodeFacts, time: float) -> Transition:
    """Returns the transition to `error` of a node that did its step and must not enter the next one."""
    ended = StepEnd(step=before.step, attempt=before.attempt, time=time)
    return replace(fail(node, before, failure), ended=ended, facts=facts)


def _entered(before: NodePosition, step: StepTarget) -> NodePosition:
    return NodePosition(state=advance_node(before.state, ENTERS[step.state]), step=step.name, attempt=1)
