"""The gRPC edge that the three services share.

Errors: `errors` (kinds of errors, no grpc), `status` (kinds to google.rpc.Status and back).
A call: `guarded_handlers` (the order in which a call is judged, read and answered), `identity` and `caller` (who
calls), `access` (who may call what, read from the contract), `admission` and `fair_share` (how many calls at once),
`requests` and `bounds` (how large a request and its fields may be, read from the contract), `running_call` (one
call until its end), `worker_pool` (threads for what is not asynchronous), `audit` and `line_file` (records of calls).
A server: `server` (start, health, reflection, drain), `limits` (its settings), `transport` (how an address is reached),
`tls` and `revocation` (certificates), `connection_guard` (connections that are silent or too many), `stopping`,
`health_probe`, `page` and `page_token` (lists), `log_lines` (one line for each record), `settings_file` (TOML).
A client: `channel` (how it reaches a service), `following_channel` (a service's own calls after a renewal).
What does not touch the edge of a service does not live here.
"""
