"""Mirrors src/geotether/training/interruption.py."""

import os
import signal
import threading

import pytest

from geotether.training.interruption import Interruption, RunInterrupted, farewell


@pytest.fixture(autouse=True)
def usual_handlers():
    """A test run started in the background ignores Ctrl-C; these tests need it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_request_waits(number):
    with Interruption() as interruption:
        assert not interruption.requested
        os.kill(os.getpid(), number)
        assert interruption.requested


def test_the_second_request_stops_at_once_and_handlers_are_put_back():
    before = signal.getsignal(signal.SIGINT)
    with Interruption():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_what_is_ignored_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Interruption() as interruption:
        os.kill(os.getpid(), signal.SIGINT)
        assert not interruption.requested


def test_other_threads_are_left_alone():
    seen = []

    def work() -> None:
        with Interruption() as interruption:
            seen.append(interruption.requested)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]


def test_the_message_says_how_to_go_on(tmp_path):
    assert "--resume" in farewell(3, 9, tmp_path)
    assert str(tmp_path) in farewell(3, 9, tmp_path)
    assert issubclass(RunInterrupted, KeyboardInterrupt)
