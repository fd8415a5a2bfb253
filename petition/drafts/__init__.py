"""Drafts: creating, saving, previewing and publishing a letter; letters as folders."""
