"""Starting conversations and adding members: all or nothing, one between two, whoever is first."""

import uuid
from concurrent.futures import ThreadPoolExecutor

from cruddur_messages.access_patterns import MessageStore, StartedConversation
from cruddur_messages.items import User
from tests.engines.fixtures import CruddurTable


def person(name: str) -> User:
    return User(str(uuid.uuid4()), name.title(), name)


def test_racing(cruddur_table: CruddurTable) -> None:
    ann, bo, cy = person("ann"), person("bo"), person("cy")
    store = MessageStore(client=cruddur_table.client, table_name=cruddur_table.name)

    def start(number: int) -> StartedConversation:
        return store.start_conversation((ann, bo) if number % 2 else (bo, ann), sender=ann, message=f"hi {number}")

    with ThreadPoolExecutor(8) as pool:
        started = list(pool.map(start, range(8)))
    assert len({s.message_group_uuid for s in started}) == 1
    assert sum(s.is_new for s in started) == 1
    assert len(store.list_conversations(ann.uuid).items) == 1
    page = store.get_conversation(started[0].message_group_uuid, limit=3)
    older = store.get_conversation(started[0].message_group_uuid, limit=5, before=page.cursor)
    assert {m.message for m in (*older.items, *page.items)} == {f"hi {n}" for n in range(8)}
    assert older.cursor is None
    joined = store.add_member(started[0].message_group_uuid, cy)
    assert joined.message == page.items[-1].message
    assert store.add_member(started[0].message_group_uuid, cy) == joined
