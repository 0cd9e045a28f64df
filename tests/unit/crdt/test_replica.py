"""A replica: durable groups, and a read model that is what the shards say."""

from hypothesis import given

from crdt.database import Database
from crdt.rebuild import rebuild
from tests.support.histories import Step, histories, perform
from tests.support.replicas import (
    SPACE_KEYS,
    STORE_KEY,
    Device,
    content,
    living,
    scratch_folder,
)


@given(histories)
def test_the_read_model_is_what_the_shards_say(history: list[Step]) -> None:
    """After any history, building the read model anew from the shards changes nothing."""
    with scratch_folder() as home:
        device = Device(home)
        with device.running():
            for step in history:
                perform(device, step)
            maintained = content(device), living(device.replica)
        with Database(home, STORE_KEY) as database:
            rebuild(database, device.identity, SPACE_KEYS)
        with device.running():
            assert (content(device), living(device.replica)) == maintained
