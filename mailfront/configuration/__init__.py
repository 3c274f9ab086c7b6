"""Configuration: the option registry, msg.conf, the server root and durable file writing."""
