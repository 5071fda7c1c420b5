"""The Django admin in the console's look: what its templates (templates/admin/) show, and in which words."""
