"""Node sets such as `node-[1-16,20],gpu-3`: the one reader and the one writer of services and clients.

`grammar` reads a text without making a name, `expansion` makes the names once their number is known to be within
bounds, `folding` writes names as a short set, `natural_order` sorts them, and `node_set` is a value to compute with.
Time and memory are linear in the length of the text and the number of names, but for sorting. Groups and wildcards are
not part of the language.
"""

from kadeploy_nodeset.errors import NodeSetError
from kadeploy_nodeset.expansion import MAXIMUM_NODES, MAXIMUM_TEXT, expand
from kadeploy_nodeset.folding import fold
from kadeploy_nodeset.natural_order import natural_key, natural_order
from kadeploy_nodeset.node_set import NodeSet

__all__ = [
    "MAXIMUM_NODES",
    "MAXIMUM_TEXT",
    "NodeSet",
    "NodeSetError",
    "expand",
    "fold",
    "natural_key",
    "natural_order",
]
