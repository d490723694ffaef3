"""The one error of the lab: a sentence for the person at the keyboard."""


class LabError(Exception):
    """Something the lab cannot do, said in one sentence with what to do about it."""
