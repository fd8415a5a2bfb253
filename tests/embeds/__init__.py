"""Tests of the embeds."""
