"""One person's data, for whoever answers for it: export it, bring a new name into it, erase it."""

from cruddur_messages.person.erase import Erasure
from cruddur_messages.person.export import export
from cruddur_messages.person.passes import StillChangingError
from cruddur_messages.person.refresh import refresh
from cruddur_messages.person.traces import ATTRIBUTES, Person, Traces

__all__ = ["ATTRIBUTES", "Erasure", "Person", "StillChangingError", "Traces", "export", "refresh"]
