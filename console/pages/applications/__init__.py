"""The sections Applications and Services."""
