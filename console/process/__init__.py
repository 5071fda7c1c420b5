"""Starting and supervising the processes of a console, its broker, and a private Docker engine with a sample application."""
