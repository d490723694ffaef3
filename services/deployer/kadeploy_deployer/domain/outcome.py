"""What a step made of one node: done, or failed with a reason and a sentence."""

from dataclasses import dataclass

from kadeploy_deployer.domain.states import FailureReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a node failed a step. `retriable` false: trying again cannot help (a digest that differs, say)."""

    reason: FailureReason
    description: str
    retriable: bool = True


Outcome = Failure | None
"""None: the node did the step."""
