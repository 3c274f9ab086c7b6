"""MIME: one pass over a message as bytes, giving offsets; a message is never generated again."""
