"""The inventory: what the site is made of, which systems can be installed, and who may install them where.

Modules: `domain` (values and their rules, no I/O), `app` (one function per use case), `store` (the two databases),
`rpc` (the contract on the wire), `settings`, `bootstrap` (where adapters are chosen).
"""
