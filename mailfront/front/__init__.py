"""Protocol fronts: what is spoken before authentication."""
