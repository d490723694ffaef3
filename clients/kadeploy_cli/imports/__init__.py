"""What a site of Kadeploy 2 or 3 has, as clusters, nodes, environments and rights here; and what has no counterpart."""
