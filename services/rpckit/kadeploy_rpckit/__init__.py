"""The gRPC edge that the three services share.

What a call meets, in this order: `server` (start, health, reflection, drain), `transport` and `listening` (addresses),
`tls` (certificates, keys, credentials), `connection_guard` (few enough connections, with `connection_table` and
`own_sockets`), `guarded_handlers` (the order of what follows), `identity` and `revocation` (who calls), `access` (who
may call what, read from the contract), `admission` and `call_registry` (how many calls), `requests` and `wire_objects`
(the messages, in time and small enough), `worker_pool` and `fair_share` (threads for plain servicers), `running_call`
(the call, its log and its record), `audit`, `status` and `errors` (kinds of errors, and what callers are told).

Besides: `caller` (who calls, for everybody to ask), `limits`, `tls_settings` and `settings_file` (the services' TOML),
`health`, `health_probe` (asks for it), `stopping` (an end in time), `garbage`, `page_token` (opaque tokens of lists),
`private_file`; and for clients `channel` and `following_channel`. What does not touch the edge of a service does not
live here.
"""
