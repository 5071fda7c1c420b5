import threading

from console.server.threads import RequestThreads
from console.server.turns import Lane
from tests.harness.eventually import eventually


def test_work_beyond_the_limit_waits_and_is_done():
    threads, release, done = RequestThreads(limit=2, idle_seconds=30), threading.Event(), []
    for number in range(5):
        threads.submit(lambda number=number: (release.wait(15), done.append(number)))
    assert threads.count == 2
    release.set()
    eventually(lambda: len(done) == 5, within=15, what="all work is done")
    assert threads.count == 2


def test_one_thread_does_what_comes_one_after_the_other():
    threads, names, idle = RequestThreads(limit=5, idle_seconds=30), [], threading.Semaphore(0)
    for _ in range(3):
        threads.submit(lambda: (names.append(threading.get_ident()), idle.release()))
        assert idle.acquire(timeout=15)
        eventually(lambda: threads.idle == threads.count, within=15, what="the thread is idle")
    assert len(set(names)) == 1


def test_idle_threads_end():
    threads = RequestThreads(limit=5, idle_seconds=0.01)
    threads.submit(lambda: None)
    eventually(lambda: threads.count == 0, within=15, what="the thread ends")
    done = threading.Event()
    threads.submit(done.set)
    assert done.wait(15)


def test_a_thread_outlives_work_that_fails():
    threads, done = RequestThreads(limit=1, idle_seconds=30), threading.Event()

    def fail():
        raise ValueError

    threads.submit(fail)
    threads.submit(done.set)
    assert done.wait(15)


def test_few_work_at_a_time_and_one_that_rests_does_not_count():
    threads, release, done = RequestThreads(limit=5, idle_seconds=30, workers=1), threading.Event(), []
    order = threading.Semaphore(0)

    def wait():
        threads.rest()
        release.wait(15)
        done.append("waited")
        order.release()

    def work(number):
        done.append(number)
        order.release()

    threads.submit(wait)
    for number in range(3):
        threads.submit(lambda number=number: work(number))
    for _ in range(3):
        assert order.acquire(timeout=15)
    release.set()
    assert order.acquire(timeout=15)
    assert done == [0, 1, 2, "waited"]
    assert threads.count == 2


def test_one_that_has_worked_for_long_does_not_count():
    threads, release = RequestThreads(limit=5, idle_seconds=30, workers=1), threading.Event()
    done = threading.Event()
    for work in (lambda: release.wait(15), lambda: release.wait(15), done.set):
        threads.submit(work)
    assert done.wait(15)
    release.set()


def test_work_waits_for_its_turn():
    threads, release, done = RequestThreads(limit=1, idle_seconds=30), threading.Event(), []
    threads.submit(lambda: release.wait(15))
    flood, other = Lane("flood"), Lane("other")
    for lane in (flood, flood, flood, other):
        threads.submit(lambda lane=lane: done.append(lane.name), lane)
    release.set()
    eventually(lambda: len(done) == 4, within=15, what="all work is done")
    assert done == ["flood", "other", "flood", "flood"]


def test_a_thread_gives_back_what_it_holds_before_it_ends():
    ended = []
    threads = RequestThreads(limit=5, idle_seconds=0.01, on_end=lambda: ended.append(threading.get_ident()))
    threads.submit(lambda: ended.append(threading.get_ident()))
    eventually(lambda: len(ended) == 2, within=15, what="the thread ends")
    assert ended[0] == ended[1]
