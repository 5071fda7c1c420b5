"""News of calls, clusters and links, written to an outbox with what they are about, and sent over channels by the watcher."""
