"""Signatures: signing, confirming, the list, one's own page."""
