"""User entries and where they come from."""
