"""Audits by sample: signatories who agreed are drawn by public randomness, and asked whether they signed."""
