"""The ways in which a session, or the way to one neighbour, comes to nothing."""


class Failed(Exception):
    """The session cannot succeed; `str()` is one sentence."""

    def __init__(self, description: str, reason: str = "transfer_failed") -> None:
        super().__init__(description)
        self.reason = reason


class Left(Exception):
    """An upstream gave no block; `str()` says why. `barred`: never ask it again. `to_source`: ask no node again."""

    def __init__(self, why: str, *, barred: bool = False, to_source: bool = False, closed: bool = False) -> None:
        super().__init__(why)
        self.barred = barred
        self.to_source = to_source
        self.closed = closed
