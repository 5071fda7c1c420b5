"""Activity and the page of a call, and the dialogs that stop, start, restart or delete what an application runs."""
