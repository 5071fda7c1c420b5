"""The page that documents the REST API, made from its OpenAPI schema."""
