"""The product at work: the three services started together, and the demo that deploys two machines with them.

Modules: `site` (settings and processes of the three services), `page` (the page beside them), `scenario` (the demo,
from blank disks to the report), `run` (one run of it, everything up and down again), `client` (the command line tools,
called as a user calls them), `node_login` (what a node says of itself), `report` (report.json and the table).
"""
