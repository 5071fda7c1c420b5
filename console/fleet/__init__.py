"""Writes a made-up fleet of any size into the database, to measure pages and to look at full ones.

The rows are those that inventory, queue and people would have left behind. No engine is contacted, and there is none at the
clusters' addresses. The same seed makes the same fleet, except for secrets and for times, which count back from now.
"""
