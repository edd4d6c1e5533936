"""Wishes of one thread reach another one, once."""

import threading

from napari_cellseg.core.finetuning.requests import Requests


def test_a_preview_is_given_once_however_often_it_was_asked_for():
    requests = Requests()
    assert not requests.take_preview()
    requests.ask_preview()
    requests.ask_preview()
    assert requests.take_preview()
    assert not requests.take_preview()


def test_without_a_pause_nobody_waits():
    requests = Requests()
    assert not requests.paused
    assert requests.wait_while_paused() is False


def test_a_pause_lasts_until_it_is_taken_back():
    requests, ended = Requests(), threading.Event()
    requests.pause()
    assert requests.paused

    def wait():
        assert requests.wait_while_paused()
        ended.set()

    thread = threading.Thread(target=wait)
    thread.start()
    assert not ended.wait(0.3)
    requests.go_on()
    assert ended.wait(10)
    thread.join()
    assert not requests.paused


def test_cancelling_ends_a_pause():
    requests, looks = Requests(), []

    def cancelled():
        looks.append(1)
        return len(looks) > 2

    requests.pause()
    assert requests.wait_while_paused(cancelled) is True
    assert requests.paused
