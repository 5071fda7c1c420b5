import threading

from console.server.threads import RequestThreads
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
