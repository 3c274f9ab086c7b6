"""SMTP without input or output: command lines, addresses, parameters, replies, message data."""
