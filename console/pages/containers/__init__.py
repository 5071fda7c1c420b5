"""The page of a container and its resource use."""
