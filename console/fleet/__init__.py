"""A made-up fleet in the database, as large as is asked for: to measure pages with, and to look at them when they are full.

The rows are what inventory, queue and people would have left behind; no engine is asked, and none is at the clusters'
addresses. The same seed gives the same fleet, apart from times, which count back from now, and secrets.
"""
