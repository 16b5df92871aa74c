"""The cruddur table in memory, with DynamoDB's responses and errors, and an index that lags as far as a test says.

It has the methods of a boto3 client. test_memory_engine.py compares it with DynamoDB Local and the emulator.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from cruddur_messages import schema
from cruddur_messages.items import MAX_ITEM_BYTES, item_size
from tests.projection import expressions

Item = dict[str, Any]
Key = tuple[str, str]
Version = tuple[int, Item | None]
"""The item under a key since a change, and the number of that change."""

MAX_ACTIONS = 100
MAX_TRANSACTION_BYTES = 4 * 1024 * 1024
CANCELLED = "TransactionCanceledException"
ERRORS = {
    "TransactionConflict": "TransactionConflictException",
    "ConditionalCheckFailed": "ConditionalCheckFailedException",
    "ValidationError": "ValidationException",
}
"""For the code of a cancellation reason, the error of a single write."""


def strings(**values: str) -> Item:
    """An item of strings."""
    return {name: {"S": value} for name, value in values.items()}


class Change(NamedTuple):
    """One committed change of an item, as in a stream record."""

    number: int
    event_name: str
    key: Key
    before: Item | None
    after: Item | None


def error(code: str, message: str, operation: str, **more: Any) -> ClientError:
    """An error in the form in which boto3 raises it."""
    response: Any = {"Error": {"Code": code, "Message": message}, **more}
    return ClientError(response, operation)


def cancelled(codes: list[str]) -> ClientError:
    """A cancelled transaction, with a reason for each of its actions."""
    listed = ", ".join(codes)
    return error(
        CANCELLED,
        f"Transaction cancelled, please refer cancellation reasons for specific reasons [{listed}]",
        "TransactWriteItems",
        CancellationReasons=[{"Code": code} for code in codes],
    )


class MemoryEngine:
    """One table.

    At each eventually consistent read, `lag` gets the versions under each key, and returns for some keys how many
    versions back they are shown.

    `page_size` bounds the items of a page of the index, as 1 MB does in DynamoDB. `on_commit` is called after each
    write with the changes that it made together.

    `unapplied` is what a committed transaction has still to apply, by key. DynamoDB applies it item by item, which
    whoever reads outside a transaction can see (Developer Guide, "DynamoDB Transactions: How it works", "Isolation").
    Until then a write of such an item fails with a transaction conflict.
    """

    def __init__(
        self,
        *,
        lag: Callable[[Mapping[Key, list[Version]]], Mapping[Key, int]] = lambda _versions: {},
        page_size: Callable[[], int] = lambda: 1_000_000,
        unprocessed: Callable[[int], int] = lambda _keys: 0,
        on_commit: Callable[[list[Change]], None] = lambda _changes: None,
    ) -> None:
        self.items: dict[Key, Item] = {}
        self.unapplied: dict[Key, Item | None] = {}
        self.changes: list[Change] = []
        self.versions: dict[Key, list[Version]] = {}
        self._ever_in_index: dict[Key, None] = {}
        self.lag = lag
        self._page_size = page_size
        self._unprocessed = unprocessed
        self._on_commit = on_commit

    def put_item(self, **arguments: Any) -> dict[str, Any]:
        return self._write_one("PutItem", {"Put": arguments})

    def delete_item(self, **arguments: Any) -> dict[str, Any]:
        return self._write_one("DeleteItem", {"Delete": arguments})

    def update_item(self, **arguments: Any) -> dict[str, Any]:
        return self._write_one("UpdateItem", {"Update": arguments})

    def get_item(self, *, Key: Item, **_arguments: Any) -> dict[str, Any]:  # noqa: N803
        """GetItem, always consistent."""
        item = self.items.get(_key_of(Key, "GetItem"))
        return {} if item is None else {"Item": dict(item)}

    def batch_get_item(self, *, RequestItems: Mapping[str, Any], **_arguments: Any) -> dict[str, Any]:  # noqa: N803
        """BatchGetItem on the one table, always consistent; `unprocessed` says how many keys come back unprocessed."""
        ((table, request),) = RequestItems.items()
        keys = [_key_of(key, "BatchGetItem") for key in request["Keys"]]
        if not 1 <= len(keys) <= MAX_ACTIONS or len(set(keys)) != len(keys):
            raise error("ValidationException", "Too many or duplicate keys", "BatchGetItem")
        left = request["Keys"][len(keys) - self._unprocessed(len(keys)) :]
        found = [dict(self.items[key]) for key in keys[: len(keys) - len(left)] if key in self.items]
        unprocessed = {table: {**request, "Keys": left}} if left else {}
        return {"Responses": {table: found}, "UnprocessedKeys": unprocessed}

    def query(self, *, KeyConditionExpression: str, **arguments: Any) -> dict[str, Any]:  # noqa: N803
        """Query on the table or the index."""
        index = arguments.get("IndexName")
        if index is not None and arguments.get("ConsistentRead"):
            message = "Consistent reads are not supported on global secondary indexes"
            raise error("ValidationException", message, "Query")
        names = arguments.get("ExpressionAttributeNames", {})
        values = arguments.get("ExpressionAttributeValues", {})
        matches = expressions.condition(KeyConditionExpression)
        source = self.items.items() if arguments.get("ConsistentRead") else self._outdated(index)
        found = [(_place(key, item, index), item) for key, item in source if matches(item, names, values)]
        forward = arguments.get("ScanIndexForward", True)
        found.sort(key=lambda pair: pair[0], reverse=not forward)
        if start := arguments.get("ExclusiveStartKey"):
            begin = _place(_key_of(start, "Query"), start, index)
            found = [pair for pair in found if (pair[0] > begin if forward else pair[0] < begin)]
        size = arguments.get("Limit") or (self._page_size() if index is not None else 1_000_000)
        page = [dict(item) for _, item in found[:size]]
        answer: dict[str, Any] = {"Items": page, "Count": len(page), "ScannedCount": len(page)}
        if len(page) == size or len(found) > size:
            answer["LastEvaluatedKey"] = _start_key(page[-1], index)
        return answer

    def transact_write_items(self, *, TransactItems: list[dict[str, Any]], **_arguments: Any) -> dict[str, Any]:  # noqa: N803
        """TransactWriteItems: all actions or none."""
        self._commit(self._prepared(TransactItems))
        return {}

    def commit_unapplied(self, *, TransactItems: list[dict[str, Any]], **_arguments: Any) -> list[Key]:  # noqa: N803
        """TransactWriteItems, as far as the commit; `apply` does the rest, for each of the keys returned."""
        writes = self._prepared(TransactItems)
        self.unapplied |= writes
        self._on_commit(self._changes(writes))
        return list(writes)

    def apply(self, key: Key) -> None:
        """Make a committed transaction's change of an item visible, if it is not visible yet."""
        if key in self.unapplied:
            self._apply(self._changes({key: self.unapplied.pop(key)}))

    def apply_all(self) -> None:
        """Make all changes of committed transactions visible."""
        for key in list(self.unapplied):
            self.apply(key)

    def _prepared(self, actions: list[dict[str, Any]]) -> dict[Key, Item | None]:
        """The items after the actions of a transaction, with all conditions checked."""
        operation = "TransactWriteItems"
        if not 1 <= len(actions) <= MAX_ACTIONS:
            raise error("ValidationException", "Member must have length between 1 and 100", operation)
        writes: dict[Key, Item | None] = {}
        codes: list[str] = []
        size = 0
        for action in actions:
            key = key_of_action(action, operation)
            if key in writes:
                message = "Transaction request cannot include multiple operations on one item"
                raise error("ValidationException", message, operation)
            code, writes[key], own_size = self._outcome(key, action, operation)
            codes.append(code)
            size += own_size
        if size > MAX_TRANSACTION_BYTES:
            raise error("ValidationException", "Transaction size too large", operation)
        if any(code != "None" for code in codes):
            raise cancelled(codes)
        return writes

    def _write_one(self, operation: str, action: Mapping[str, Any]) -> dict[str, Any]:
        key = key_of_action(action, operation)
        code, after, _ = self._outcome(key, action, operation)
        if code != "None":
            raise error(ERRORS[code], "The conditional request failed, or the item is locked or too large", operation)
        self._commit({key: after})
        return {}

    def _outcome(self, key: Key, action: Mapping[str, Any], operation: str) -> tuple[str, Item | None, int]:
        """Of an action: the code of its cancellation reason, the item after it, and the size of that item."""
        ((kind, body),) = action.items()
        _validate(body.get("Item", {}), operation)
        before = self.items.get(key)
        if key in self.unapplied:
            return "TransactionConflict", None, 0
        if not _holds(before, body):
            return "ConditionalCheckFailed", None, item_size(before or {})
        after = _after(before, kind, body)
        size = item_size(after or before or {})
        return "ValidationError" if after is not None and size > MAX_ITEM_BYTES else "None", after, size

    def _commit(self, writes: dict[Key, Item | None]) -> None:
        changes = self._changes(writes)
        self._apply(changes)
        if changes:
            self._on_commit(changes)

    def _changes(self, writes: dict[Key, Item | None]) -> list[Change]:
        changes: list[Change] = []
        for key, after in writes.items():
            before = self.items.get(key)
            if before != after:
                name = "INSERT" if before is None else "REMOVE" if after is None else "MODIFY"
                changes.append(Change(len(self.changes) + len(changes), name, key, before, after))
        return changes

    def _apply(self, changes: list[Change]) -> None:
        for change in changes:
            if change.after is None:
                del self.items[change.key]
            else:
                self.items[change.key] = change.after
                if schema.INDEX_PARTITION_KEY in change.after:
                    self._ever_in_index[change.key] = None
            self.versions.setdefault(change.key, [(-1, None)]).append((change.number, change.after))
        self.changes += changes

    def _outdated(self, index: str | None) -> Iterator[tuple[Key, Item]]:
        concerned = self.versions if index is None else {key: self.versions[key] for key in self._ever_in_index}
        lag = self.lag(concerned)
        for key, versions in concerned.items():
            shown = versions[max(0, len(versions) - 1 - lag.get(key, 0))][1]
            if shown is not None:
                yield key, shown


def key_of_action(action: Mapping[str, Any], operation: str = "TransactWriteItems") -> Key:
    """The key of the item that an action of a transaction writes. Raises ClientError if it has none."""
    ((_, body),) = action.items()
    return _key_of(body.get("Key") or body["Item"], operation)


def _after(before: Item | None, kind: str, body: Mapping[str, Any]) -> Item | None:
    match kind:
        case "Put":
            return dict(body["Item"])
        case "Delete":
            return None
        case "Update":
            update = expressions.update(body["UpdateExpression"])
            names, values = body.get("ExpressionAttributeNames", {}), body.get("ExpressionAttributeValues", {})
            return update(before if before is not None else body["Key"], names, values)
        case _:
            raise ValueError(f"no action of a transaction: {kind}")


def _holds(before: Item | None, arguments: Mapping[str, Any]) -> bool:
    expression = arguments.get("ConditionExpression")
    if expression is None:
        return True
    names = arguments.get("ExpressionAttributeNames", {})
    return expressions.condition(expression)(before or {}, names, arguments.get("ExpressionAttributeValues", {}))


def _key_of(attributes: Mapping[str, Any], operation: str) -> Key:
    partition, sort_key = attributes.get(schema.PARTITION_KEY, {}), attributes.get(schema.SORT_KEY, {})
    if "S" not in partition or "S" not in sort_key:
        message = "One or more parameter values were invalid: Missing or mistyped key"
        raise error("ValidationException", message, operation)
    key = partition["S"], sort_key["S"]
    if "" in key:
        message = "One or more parameter values are not valid: a key attribute cannot contain an empty string value"
        raise error("ValidationException", message, operation)
    return key


def _validate(item: Item, operation: str) -> None:
    group = item.get(schema.INDEX_PARTITION_KEY)
    if group is not None and not group.get("S"):
        message = "One or more parameter values were invalid: Type mismatch or empty string for Index Key"
        raise error("ValidationException", message, operation)


def _place(key: Key, item: Item, index: str | None) -> tuple[bytes, ...]:
    """The position of an item in its partition; in the index, items with equal sort keys are sorted by table key."""
    parts = (item[schema.SORT_KEY]["S"], key[0]) if index is not None else (key[1],)
    return tuple(part.encode() for part in parts)


def _start_key(item: Item, index: str | None) -> Item:
    names = [schema.PARTITION_KEY, schema.SORT_KEY]
    if index is not None:
        names.append(schema.INDEX_PARTITION_KEY)
    return {name: item[name] for name in names}
