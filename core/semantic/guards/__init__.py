"""Pure checks that refuse a pair of questions, each with its reason."""
