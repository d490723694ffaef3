"""Moments as version 3's statistics took them."""

from typing import Any

import click


class Moment(click.DateTime):
    """A day, or a moment of it."""

    name = "date"

    def __init__(self) -> None:
        super().__init__(["%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y:%m:%d:%H:%M:%S"])

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As in click, in the words of this command."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(
                f'"{value}" is no moment; write 2026-11-22, "2026-11-22 14:00" or 2026:11:22:14:00:00', param, ctx
            )


MOMENT = Moment()
