"""The model, the answers and the questions that need no key."""
