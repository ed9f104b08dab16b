"""What may be cached, and for how long. Pure."""
