"""The command ``petition``."""
