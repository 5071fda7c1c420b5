"""The embedded broker: Celery's `filesystem://` transport with a bell.

A message is a file, as with kombu's own transport, but it appears whole (written aside, then renamed), and a waiting
worker is woken through a named pipe instead of listing the folder fifty times a second. A lost message or ring costs
time, never a call: the row in the database is the queue.
"""

import json
import os
import select
import time
import uuid
from contextlib import suppress
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.json import dumps, loads

LONGEST_WAIT = 0.5  # seconds between two looks without a ring; also how late a worker may notice that it is to stop


class Bell:
    """A named pipe. Any number of workers listen; whoever rings does not wait and need not know whether one does."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "bell"
        self._descriptor = -1

    def ring(self) -> None:
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            return  # nobody listens
        try:
            os.write(descriptor, b".")
        except BlockingIOError:
            pass  # it is ringing enough
        finally:
            os.close(descriptor)

    def listen(self) -> None:
        """From here on no ring is missed."""
        if self._descriptor >= 0:
            return
        if not self.path.exists():
            with suppress(FileExistsError):  # another worker was first
                os.mkfifo(self.path, 0o600)
        # Open for writing as well, so that it never ends when the last ringer closes its side.
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)

    def wait(self, timeout: float) -> None:
        """Until it rings, or `timeout` seconds."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        if poll.poll(timeout * 1000):
            with suppress(BlockingIOError):  # another worker took the ring
                os.read(self._descriptor, 4096)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def put_message(options: dict[str, Any], queue: str, payload: dict[str, Any]) -> None:
    """`options`: the transport's. Raises OSError."""
    folder, name = options["data_folder_out"], f"{time.time_ns():020d}_{uuid.uuid4().hex}.{queue}.msg"
    draft = f"{folder}/.{name}"
    with open(draft, "w", encoding="utf-8") as file:
        file.write(dumps(payload))
    os.rename(draft, f"{folder}/{name}")
    Bell(Path(options["control_folder"])).ring()


def put_task(options: dict[str, Any], queue: str, name: str, args: tuple[Any, ...]) -> None:
    """A task without further ado, as Celery's message protocol 2 has it. Raises OSError.

    Celery's own way there takes ten times as long as all the rest, while whoever calls a link waits for it.
    https://docs.celeryq.dev/en/stable/internals/protocol.html#version-2
    """
    task_id = str(uuid.uuid4())
    headers = {"lang": "py", "task": name, "id": task_id, "root_id": task_id, "parent_id": None, "group": None}
    properties = {
        "correlation_id": task_id,
        "delivery_info": {"exchange": "", "routing_key": queue},
        "delivery_tag": task_id,
    }
    payload = {
        "body": json.dumps((args, {}, {})),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {**headers, "ignore_result": True},
        "properties": properties,
    }
    put_message(options, queue, payload)


class Channel(filesystem.Channel):
    def _put(self, queue: str, payload: dict[str, Any], **_: Any) -> None:  # type: ignore[override] # as kombu's own does
        put_message(self.transport_options, queue, payload)

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        """The oldest message; of several workers the one whose removal succeeds has it."""
        folder = Path(self.data_folder_in)
        for name in sorted(os.listdir(folder)):
            if name.partition(".")[2] != f"{queue}.msg":
                continue
            try:
                text = (folder / name).read_text(encoding="utf-8")
                (folder / name).unlink()
            except FileNotFoundError:
                continue
            return loads(text)
        raise Empty


class Transport(filesystem.Transport):
    Channel = Channel

    def __init__(self, client: Any, **options: Any) -> None:
        super().__init__(client, **options)
        self._bell = Bell(Path(client.transport_options["control_folder"]))

    def drain_events(self, connection: Any, timeout: float | None = None, **_: Any) -> None:
        """Delivers one message. Raises TimeoutError after `timeout` seconds, or sooner: callers ask again."""
        self._bell.listen()
        if self._deliver_one():
            return
        self._bell.wait(min(timeout or LONGEST_WAIT, LONGEST_WAIT))
        if not self._deliver_one():
            raise TimeoutError

    def _deliver_one(self) -> bool:
        assert self.cycle is not None  # from the first channel on
        try:
            self.cycle.get(self._deliver)
        except Empty:
            return False
        return True

    def close_connection(self, connection: Any) -> None:
        super().close_connection(connection)
        self._bell.close()


def use_bell() -> None:
    """Lets `filesystem://` mean this transport."""
    TRANSPORT_ALIASES["filesystem"] = "console.process.broker:Transport"
