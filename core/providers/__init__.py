"""Where answers come from: one protocol, its implementation by the OpenAI API, and what answers cost.

A provider knows nothing of the cache. Its errors are those of the `openai` package and reach the caller unchanged.
"""
