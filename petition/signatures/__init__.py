"""Signatures: signing, confirming, one's own page, the list, the count."""
