"""Observability: one structured line per connection, counters, and the log set-up."""
