"""Who is it: the order of checks, password hashes and throttling."""
