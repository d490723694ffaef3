"""How often Python looks for garbage that refers to itself: seldom.

A call about 10,000 nodes makes hundreds of thousands of values that live until it is answered. Python would walk
through them, and through all that the service is made of, again and again, and find next to nothing.
"""

import gc

YOUNG = 50_000
"""So many more values than before, and Python looks at the youngest; its own habit is 700."""


def settle() -> None:
    """Leaves what is there out of all later searches, and makes these rarer. For a service that has just started."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
