"""The graph and the walk backward through it, and what both lean on."""
