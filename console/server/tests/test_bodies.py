import asyncio

import pytest

from console.server import bodies
from console.server.bodies import BodyMemory, BodyReader, BodyRefused, ClientLeft
from console.server.tests.asgi import Client

REFUSAL = BodyRefused(503, "Too much.")


def read(client, limit=1000, memory=None):
    async def run():
        reader = BodyReader(client.receive, memory or BodyMemory())
        await reader.read(limit)
        return reader

    return asyncio.run(run())


def test_a_body_is_read_to_its_end():
    reader = read(Client(b"ab", b"", b"cd"))
    assert (reader.take(), reader.is_complete) == (b"abcd", True)


def test_reading_stops_past_the_limit():
    client = Client(b"x" * 8, b"x" * 8, b"x" * 8)
    reader = read(client, limit=10)
    assert (client.received, reader.is_complete) == (16, False)


def test_reading_goes_on_where_it_stopped():
    async def run():
        reader = BodyReader(Client(b"ab", b"cd").receive, BodyMemory())
        await reader.read(1)
        await reader.read(100)
        return reader

    assert asyncio.run(run()).take() == b"abcd"


def test_a_client_that_leaves_is_noticed():
    with pytest.raises(ClientLeft):
        read(Client(b"ab", leaves=True))


def test_a_stalled_body_is_refused_after_the_grace_period(monkeypatch):
    monkeypatch.setattr(bodies, "BODY_GRACE_SECONDS", 0.05)
    with pytest.raises(BodyRefused) as refused:
        read(Client(b"ab", stalls=True))
    assert refused.value.status == 408


@pytest.mark.parametrize(
    ("grace", "total", "rate", "seconds"), [(10, 30, 1000, 15), (10, 30, 100, 30), (10, 12, 1000, 12), (10, 30, 10**9, 10)]
)
def test_the_deadline_moves_with_the_bytes_that_have_arrived_up_to_the_total(monkeypatch, grace, total, rate, seconds):
    monkeypatch.setattr(bodies, "BODY_GRACE_SECONDS", grace)
    monkeypatch.setattr(bodies, "BODY_SECONDS", total)
    monkeypatch.setattr(bodies, "BODY_LEAST_RATE", rate)

    async def run():
        reader = BodyReader(Client().receive, BodyMemory(), size=5000)
        return reader.find_deadline() - asyncio.get_running_loop().time()

    assert asyncio.run(run()) == pytest.approx(seconds, abs=1)


class TestMemory:
    def test_past_the_limit_the_oldest_body_is_given_up_and_the_newest_is_read(self):
        async def run():
            memory = BodyMemory(limit=100)
            oldest, older = (BodyReader(Client(b"x" * 40, stalls=True).receive, memory) for _ in range(2))
            stalled = [asyncio.ensure_future(reader.read(1000)) for reader in (oldest, older)]
            while memory.held < 80:
                await asyncio.sleep(0)
            newest = BodyReader(Client(b"x" * 40).receive, memory)
            await newest.read(1000)
            with pytest.raises(BodyRefused) as refused:
                await stalled[0]
            assert (newest.is_complete, stalled[1].done()) == (True, False)
            stalled[1].cancel()
            return memory.held, refused.value.status

        assert asyncio.run(run()) == (80, 503)

    def test_a_body_larger_than_the_memory_is_given_up_itself(self):
        with pytest.raises(BodyRefused):
            read(Client(b"x" * 200), memory=BodyMemory(limit=100))

    def test_a_closed_body_takes_no_memory(self):
        async def run():
            memory = BodyMemory()
            reader = BodyReader(Client(b"abc").receive, memory)
            await reader.read(1000)
            held = memory.held
            reader.close()
            reader.close()
            return held, memory.held

        assert asyncio.run(run()) == (3, 0)

    def test_a_body_is_freed_at_once_though_somebody_keeps_its_reader(self):
        """A refusal that was raised knows its traceback, and that the reader: only the garbage collector ends this circle."""

        async def run(end):
            reader = BodyReader(Client(b"abc").receive, BodyMemory())
            await reader.read(1000)
            end(reader)
            return sum(map(len, reader._pieces))

        assert asyncio.run(run(BodyReader.close)) == 0
        assert asyncio.run(run(lambda reader: reader.give_up(REFUSAL))) == 0

    def test_a_body_can_be_given_up_while_it_waits_for_a_thread(self):
        reader = read(Client(b"abc"))
        reader.give_up(REFUSAL)
        with pytest.raises(BodyRefused):
            reader.take()

    def test_a_body_that_is_given_up_between_two_readings_is_counted_once(self):
        async def run():
            memory = BodyMemory()
            reader = BodyReader(Client(b"abc", b"def", b"ghi").receive, memory)
            await reader.read(1)
            memory.give_up_all(REFUSAL)
            with pytest.raises(BodyRefused):
                await reader.read(1000)
            reader.close()
            return memory.held

        assert asyncio.run(run()) == 0

    def test_all_that_arrive_can_be_given_up(self):
        async def run():
            memory = BodyMemory()
            reading = asyncio.ensure_future(BodyReader(Client(b"x", stalls=True).receive, memory).read(1000))
            while not memory.held:
                await asyncio.sleep(0)
            memory.give_up_all(BodyRefused(503, "Stop."))
            await reading

        with pytest.raises(BodyRefused, match="Stop."):
            asyncio.run(run())
