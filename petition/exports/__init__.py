"""Exports of signatories, and of addresses encrypted to an owner's key."""
