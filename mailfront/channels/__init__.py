"""imta.cnf: rewrite rules and channels; which channel, hosts and keywords an address leads to."""
