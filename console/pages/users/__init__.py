"""The pages of users and roles, the audit log, and the settings of the signed-in user."""
