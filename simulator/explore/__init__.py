"""Searching for what breaks: every attempt failing in turn, random runs, and the shortest scenario that shows it."""
