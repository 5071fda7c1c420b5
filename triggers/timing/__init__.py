"""When something holds: spans of time that recur or not, and the rules of freeze windows. Pure: no database, no request."""
