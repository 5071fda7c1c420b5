"""The pages of registries, of their inbound links, and of what they delivered."""
