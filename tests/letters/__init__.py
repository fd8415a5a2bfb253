"""Tests of letters and their texts."""
