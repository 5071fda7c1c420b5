"""The pages of users and roles, and the audit log."""
