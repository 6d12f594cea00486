"""Removes the rows of persons from the lake: from every layer, every version of a table, and what lies beside it."""
