"""What was done to nodes, row by row: version 3's questions to the past."""
