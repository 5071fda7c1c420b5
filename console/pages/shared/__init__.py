"""The frame of every page, and the pieces that several sections show.

The frame: `page` (access, pieces, dialogs, redirects), `context` (navigation), `selection` (the selected cluster), `polling`,
`page_middleware`. The pieces: `sorting`, `slots` (tasks of a Swarm), `outcome_counts` (charts), `exports` (CSV), and the rooms
`logs`, `configuration` and `trigger_panel`. Beneath them: `live` (connections to engines), `cluster_rows` and `visible_calls`
(querysets), `starting` (calls).
"""
