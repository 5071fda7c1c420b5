"""Sign-in at identity providers by OpenID Connect: which there are, the protocol, and what groups give."""
