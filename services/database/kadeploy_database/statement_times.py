"""How long statements take: hooks of an engine, for metrics."""

import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, event


def time_statements(engine: Engine, observe: Callable[[float], None]) -> None:
    """Has the seconds of each statement observed, whether it fails or not."""

    @event.listens_for(engine, "before_cursor_execute")
    def begin(_connection: Any, _cursor: Any, _statement: Any, _parameters: Any, context: Any, _many: Any) -> None:
        context.kadeploy_begin = time.perf_counter()

    @event.listens_for(engine, "after_cursor_execute")
    def end(_connection: Any, _cursor: Any, _statement: Any, _parameters: Any, context: Any, _many: Any) -> None:
        observe(time.perf_counter() - context.kadeploy_begin)

    @event.listens_for(engine, "handle_error")
    def fail(context: Any) -> None:
        begun = getattr(context.execution_context, "kadeploy_begin", None)
        if begun is not None:
            observe(time.perf_counter() - begun)
