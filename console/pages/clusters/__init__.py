"""The sections Clusters, Nodes and Images."""
