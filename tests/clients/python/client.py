"""Every call that the Python client has, against the port given. It speaks https only.

Prints the calls it left out.
"""

import inspect
import json
import sys
from datetime import datetime, timezone

from customerio import CustomerIO

ODD = "a b/ü+@x.io"
# What makes paths and connections, and calls nothing.
HELPERS = {
    "close",
    "get_customer_query_string",
    "get_device_query_string",
    "get_event_query_string",
    "get_events_query_string",
    "is_valid_id_type",
    "send_request",
    "setup_base_url",
}


class Recorded:
    """A client that notes which of its methods are called."""

    def __init__(self, client):
        self.client, self.called = client, set()

    def __getattr__(self, name):
        self.called.add(name)
        return getattr(self.client, name)

    def left_out(self):
        methods = {name for name, _ in inspect.getmembers(CustomerIO, inspect.isfunction)}
        return sorted(name for name in methods - HELPERS - self.called if not name.startswith("_"))


def person(identifier, action, **more):
    return {"type": "person", "identifiers": {"id": identifier}, "action": action, **more}


client = Recorded(CustomerIO("site", "key", host="127.0.0.1", port=int(sys.argv[1])))

client.identify("u", email="U@x.io", plan="a")
client.identify("other", city="x")
client.identify(ODD, odd=float("nan"))
client.delete(ODD)

when = datetime(2023, 11, 14, 22, 13, 20, tzinfo=timezone.utc)
for _ in range(2):
    client.track("u", "bought", {"price": 5}, id="01ARZ3NDEKTSV4RRFFQ69G5FAV", timestamp=when)
client.track_anonymous("anon", "seen")
client.pageview("u", "/pricing", referrer="x")
client.backfill("u", "once", 1600000000, price=1)

client.add_device("u", "t/1", "ios", last_used=1700000000)
client.add_device("u", "gone", "android")
client.delete_device("u", "gone")
client.merge_customers("email", "u@x.io", "id", "other")

client.suppress("bad")
client.identify("bad", plan="x")
client.suppress("back")
client.unsuppress("back")
client.identify("back", plan="y")

answer = client.batch(
    [
        person("b", "identify", attributes={"plan": "b"}),
        person("b", "event", name="batched"),
        person("b", "event", name=" "),
    ]
)
print(json.dumps({"left_out": client.left_out(), "batch": answer.json()}))
