"""The server-rendered pages: a room for each section of the navigation, and `shared` for what several sections use."""
