"""Following a deployment while it happens.

`progress` computes what is true now from snapshots and events (pure), `feed` reads the stream, `follow` joins the two
with the user's interrupts and a deployer that restarts. `live` shows a `screen` to people, `lines` and `folded_lines`
print text, `event_stream` prints JSON, `report` says how it ended.
"""
