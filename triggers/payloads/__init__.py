"""What registries and their relays send: one module a sender, found by shape and headers and never by user agent."""
