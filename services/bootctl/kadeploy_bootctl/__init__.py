"""bootctl: decides what every machine boots next, by the files of a TFTP tree.

Modules: `domain` (entries, targets, names and their rules), `render` (entries to loader files, pure), `app` (one
function per use case), `tree` (the only writer of the TFTP tree), `rpc` (the contract's calls), `bootstrap` (what is
plugged into what).
"""
