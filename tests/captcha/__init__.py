"""Tests of the challenges."""
