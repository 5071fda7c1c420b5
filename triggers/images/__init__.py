"""The images that applications ran and run: their history in calls, which one was before, and which ones were left."""
