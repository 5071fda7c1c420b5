"""The images that applications ran: the tab with their history, and the dialog that redeploys the previous one."""
