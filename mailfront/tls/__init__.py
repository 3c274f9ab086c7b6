"""One cipher policy, many contexts, and the TLS transport that every connection uses."""
