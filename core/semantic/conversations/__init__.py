"""Questions in a conversation: completed by what they depend on, compared with those of other conversations."""

from .conversation import Conversation, OwnConversation, conversation_of, stored_conversation
from .differences import Difference, difference
from .turns import shortened

__all__ = [
    "Conversation", "Difference", "OwnConversation", "conversation_of", "difference", "shortened",
    "stored_conversation",
]  # fmt: skip
