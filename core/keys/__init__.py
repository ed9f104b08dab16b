"""What makes two requests the same: identity, normal form, the parts of a scope, names in Redis. Pure."""
