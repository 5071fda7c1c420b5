"""Messages of registries and their relays, one module for each sender. A sender is recognised by the shape of its message
and by its headers, never by its user agent."""
