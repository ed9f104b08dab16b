"""A small model that says whether a stored answer answers a new question too."""
