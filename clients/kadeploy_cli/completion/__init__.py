"""Completion in the shell, within the time of a keystroke.

`answer` is what a shell calls. It, `command_line`, `names` and `cache` load the standard library alone: click, gRPC and
the contracts take ten times as long. What they know comes from two kinds of cache files, which `command_tree` (options
and commands) and `fetch` (names that the services know) write.
"""
