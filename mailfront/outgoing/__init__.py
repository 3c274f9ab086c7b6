"""Delivery to other servers: where to, how protected, when again, and what the sender hears."""
