"""Questions in a conversation: completed by what they depend on, compared with those of other conversations."""

from .conversation import Conversation, OwnConversation, conversation_of, stored_conversation
from .differences import Difference, difference

__all__ = [
    "Conversation", "Difference", "OwnConversation", "conversation_of", "difference", "stored_conversation",
]  # fmt: skip
