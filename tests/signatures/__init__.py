"""Tests of signatures and their rules."""
