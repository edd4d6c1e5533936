"""Saved work: labels, maps and decisions in one file that opens again bit for bit."""
