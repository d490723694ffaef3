"""The way in which a session comes to nothing."""


class Failed(Exception):
    """The session cannot succeed; `str()` is one sentence."""

    def __init__(self, description: str, reason: str = "transfer_failed") -> None:
        super().__init__(description)
        self.reason = reason
