"""Mail that waits to be delivered: durable, on this machine's disk."""
