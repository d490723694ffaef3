"""What is wrong with a text that should be a node set."""


class NodeSetError(ValueError):
    """The text is no node set.

    Attributes:
        problem: completes the sentence that begins with the node set, such as "names more than 10 nodes".
        position: the character that is wrong, from 1; 0 where the whole text is.
    """

    def __init__(self, problem: str, *, position: int = 0) -> None:
        super().__init__(f"at character {position}: {problem}" if position else problem)
        self.problem = problem
        self.position = position
