"""The public pages in a real Chromium, as readers and signers meet them."""
