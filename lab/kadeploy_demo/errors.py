"""What can go wrong for the demo, as one sentence with what to do."""


class DemoError(Exception):
    """One sentence for the person who typed the command."""
