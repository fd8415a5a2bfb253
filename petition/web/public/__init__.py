"""The public pages: the letter, signing, confirming, a signatory's own page, the list."""
