"""The wire forms of the OpenAI API: chunks of a chat, events of a response, server-sent events. Pure."""
