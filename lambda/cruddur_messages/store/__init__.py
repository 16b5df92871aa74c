"""Access patterns A to D, for backends and scripts."""

from cruddur_messages.store.message_store import (
    CONVERSATIONS_ON_A_PAGE,
    MAX_FIRST_MEMBERS,
    MAX_PAGE,
    MESSAGES_ON_A_PAGE,
    Conversation,
    MessageStore,
    Page,
    StartedConversation,
)

__all__ = [
    "CONVERSATIONS_ON_A_PAGE",
    "MAX_FIRST_MEMBERS",
    "MAX_PAGE",
    "MESSAGES_ON_A_PAGE",
    "Conversation",
    "MessageStore",
    "Page",
    "StartedConversation",
]
