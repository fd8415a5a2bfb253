"""All tests; the folders mirror ``petition``."""
