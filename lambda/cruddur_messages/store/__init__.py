"""Access patterns A to D, and what people do with their conversations: for backends and scripts."""

from cruddur_messages.store.checks import MAX_FIRST_MEMBERS, MAX_PAGE
from cruddur_messages.store.message_store import CONVERSATIONS_ON_A_PAGE, MESSAGES_ON_A_PAGE, MessageStore
from cruddur_messages.store.reading import MOST_UNREAD
from cruddur_messages.store.values import Conversation, Page, StartedConversation

__all__ = [
    "CONVERSATIONS_ON_A_PAGE",
    "MAX_FIRST_MEMBERS",
    "MAX_PAGE",
    "MESSAGES_ON_A_PAGE",
    "MOST_UNREAD",
    "Conversation",
    "MessageStore",
    "Page",
    "StartedConversation",
]
