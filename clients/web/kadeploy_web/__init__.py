"""The web page of Kadeploy, and what it shows as JSON: a client like any other.

Modules: `settings` and `__main__` (the process), `application` (routes), `reading` and `acting` (what the routes do),
`cluster_state` (the nodes, read once for all readers), `deployment_feed` and `feeds` (one gRPC watch per deployment,
whatever the number of readers), `event_stream` (server-sent events), `security` (headers, hosts, origins), `sessions`
(users who have logged in), `answers` (messages and errors as JSON), `static/` (the page: HTML, CSS and modules of
JavaScript, served as they are).
"""
