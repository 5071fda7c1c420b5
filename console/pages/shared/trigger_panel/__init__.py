"""The table of triggers that several pages show: their links, the ways to call them, and their calls of a week."""
