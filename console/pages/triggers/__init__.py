"""The list of triggers and the dialogs that create, edit, rotate and delete one."""
