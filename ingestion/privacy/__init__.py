"""Keeps personal values out of text that leaves the lake. Pure; imports nothing of the package."""
