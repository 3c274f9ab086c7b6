"""From a bound socket to a connection with a known peer, within limits."""
