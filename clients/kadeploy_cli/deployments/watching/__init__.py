"""Following a deployment while it happens.

`progress` folds snapshots and events into what is true now (pure), `feed` reads the stream, `follow` joins the two with
the user's interrupts and bears a restart of the deployer, `live` and `lines` show it, `report` says how it ended.
"""
