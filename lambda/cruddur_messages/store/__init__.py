"""Access patterns A to D, for backends and scripts."""

from cruddur_messages.store.message_store import (
    MAX_FIRST_MEMBERS,
    MAX_PAGE,
    PAIR_CONVERSATION,
    Conversation,
    MessageStore,
    Page,
    StartedConversation,
)

__all__ = [
    "MAX_FIRST_MEMBERS",
    "MAX_PAGE",
    "PAIR_CONVERSATION",
    "Conversation",
    "MessageStore",
    "Page",
    "StartedConversation",
]
