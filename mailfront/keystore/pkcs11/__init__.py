"""PKCS#11: the modules that are installed, their tokens, and what is on them."""
