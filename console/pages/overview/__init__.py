"""The section Overview, and the search behind the palette."""
