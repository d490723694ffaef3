"""How a step ends on one node: done, or failed with a reason and a sentence."""

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


class StepFailed(Exception):
    """A node failed its step. `str()` is one sentence."""

    def __init__(self, reason: FailureReason, description: str, *, retriable: bool = True) -> None:
        """Takes the parts of `failure`. `retriable` false: trying again cannot help."""
        super().__init__(description)
        self.failure = Failure(reason=reason, description=description, retriable=retriable)
