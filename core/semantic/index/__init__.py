"""Where the vectors of stored questions are found again."""
