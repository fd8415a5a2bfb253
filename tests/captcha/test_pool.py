"""The pool hands each thing out once, whoever asks and however fast."""

import itertools
import threading

import pytest

from petition.captcha.pool import Pool


def test_nothing_is_handed_out_twice_under_threads() -> None:
    numbers = itertools.count()
    pool = Pool(lambda: next(numbers), 8)
    taken: list[int] = []

    def take() -> None:
        taken.extend(pool.take() for _ in range(200))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(set(taken)) == len(taken) == 800


def test_it_fills_up_to_its_size_aside_and_then_is_quick() -> None:
    makers: list[int] = []
    full = threading.Event()

    def make() -> int:
        makers.append(threading.get_ident())
        if len(makers) == 5:
            full.set()
        return len(makers)

    pool = Pool(make, 4)
    pool.take()
    assert full.wait(10)
    assert makers[0] == threading.get_ident()
    assert threading.get_ident() not in makers[1:]
    pool.take()
    assert makers.count(threading.get_ident()) == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_one_failure_while_filling_does_not_stop_it_for_good() -> None:
    made = threading.Event()
    failures = iter([True])

    def make() -> str:
        if threading.current_thread() is not threading.main_thread():
            if next(failures, False):
                raise SystemExit  # ends the thread without a traceback on stderr
            made.set()
        return "thing"

    pool = Pool(make, 2)
    assert pool.take() == "thing"
    while not made.wait(0.01):
        assert pool.take() == "thing"
