"""How many may wait for what, and that who waits holds no database connection."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction

from clusters import waits
from clusters.engine.errors import EngineUnreachable
from clusters.models import Cluster
from clusters.registry.errors import RegistryError
from clusters.tests.pooled import pooled as pooled
from clusters.waits import Line, NoPlace, Places, release_connection, wait_for_engine, wait_for_registry
from tests.harness.eventually import eventually


class TestPlaces:
    def test_no_name_takes_the_places_of_the_others(self):
        places = Places(in_all=5, for_each=2)
        for name in ("one", "one", "two"):
            places.take(name)
        with pytest.raises(NoPlace) as refusal:
            places.take("one")
        assert (refusal.value.number, refusal.value.is_same) == (2, True)
        places.take("two")

    def test_there_are_so_many_in_all(self):
        places = Places(in_all=2, for_each=2)
        places.take("one")
        places.take("two")
        with pytest.raises(NoPlace) as refusal:
            places.take("three")
        assert (refusal.value.number, refusal.value.is_same) == (2, False)

    def test_a_place_that_is_given_up_is_free_again(self):
        places = Places(in_all=1, for_each=1)
        for name in ("one", "one", "two"):
            places.take(name)
            places.free(name)
        places.take("three")


class TestLine:
    def test_they_have_their_turns_in_the_order_in_which_they_came(self):
        line, done = Line(length=3), []

        def act(name):
            with line.turn(name):
                done.append(name)

        with ThreadPoolExecutor(2) as threads:
            with line.turn("one"):
                waiting = []
                for number, name in enumerate(("two", "three"), 2):
                    waiting.append(threads.submit(act, name))
                    eventually(lambda number=number: len(line._line) == number, within=15, what="it is in the line")
                done.append("one")
            for future in waiting:
                future.result(15)
        assert done == ["one", "two", "three"]

    def test_a_name_is_in_the_line_once_and_so_many_are_in_all(self):
        line = Line(length=1)
        with line.turn("one"):
            for name, is_same in (("one", True), ("two", False)):
                with pytest.raises(NoPlace) as refusal:
                    line.turn(name).__enter__()
                assert (refusal.value.number, refusal.value.is_same) == (1, is_same)
        with line.turn("one"):
            pass

    def test_an_error_ends_the_turn(self):
        line = Line(length=1)
        with pytest.raises(ZeroDivisionError), line.turn("one"):
            raise ZeroDivisionError
        with line.turn("one"):
            pass


@pytest.fixture
def _few_places(monkeypatch):
    monkeypatch.setattr(waits, "places", Places(in_all=3, for_each=2))


@pytest.mark.usefixtures("_few_places")
class TestWaiting:
    def test_one_too_many_is_refused_at_once_with_a_sentence(self):
        with wait_for_engine("c1"), wait_for_engine("c1"):
            with pytest.raises(EngineUnreachable) as refusal, wait_for_engine("c1"):
                pytest.fail("it waits")
            assert refusal.value.code == "busy"
            assert refusal.value.message == (
                "The engine answers too slowly: 2 requests already wait, so this one was not sent. Try again in a moment."
            )
            with wait_for_registry("registry.example.com"):
                with pytest.raises(RegistryError, match=r"^Engines and registries answer too slowly: 3 requests") as refusal:
                    wait_for_registry("other.example.com").__enter__()
                assert refusal.value.code == "busy"

    def test_an_error_gives_the_place_up(self):
        for _ in range(4):
            with pytest.raises(ZeroDivisionError), wait_for_engine("c1"):
                raise ZeroDivisionError
            with pytest.raises(ZeroDivisionError), wait_for_registry("registry.example.com"):
                raise ZeroDivisionError


@pytest.mark.django_db(transaction=True)
class TestConnections:
    def test_who_waits_holds_none_and_the_next_query_takes_one_again(self, pooled):
        Cluster.objects.count()
        assert pooled()
        with wait_for_engine("c1"):
            assert not pooled()
        assert Cluster.objects.count() == 0

    def test_a_transaction_keeps_its_own(self, pooled):
        with transaction.atomic():
            Cluster.objects.create(name="one", url="unix:///var/run/docker.sock")
            release_connection()
            assert pooled()
        assert Cluster.objects.get().name == "one"

    def test_without_a_pool_a_thread_keeps_its_own(self, monkeypatch):
        monkeypatch.setattr("clusters.waits.has_pool", lambda: False)
        connection.ensure_connection()
        release_connection()
        assert connection.connection is not None


def test_the_pool_is_that_of_the_settings():
    assert waits.has_pool() == (connection.vendor == "postgresql")
