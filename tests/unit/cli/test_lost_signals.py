"""A signal is obeyed also where Python drops what its handler raises."""

from __future__ import annotations

import os
import signal
import sys
import time
import weakref
from collections.abc import Callable

import pytest

from twinpath.cli.lost_signals import sent_again


class Thing:
    pass


def use_up(callback: Callable[[object], None], received: list[int]) -> None:
    with sent_again(received):
        thing = Thing()
        reference = weakref.ref(thing, callback)
        del thing
        assert reference() is None
        time.sleep(5)  # ended by the second one


def test_a_signal_within_a_weak_reference_s_callback_is_not_lost(capfd: pytest.CaptureFixture[str]) -> None:
    received: list[int] = []

    def stop(signum: int, frame: object) -> None:
        received.append(signum)
        raise SystemExit(128 + signum)

    def callback(reference: object) -> None:
        if not received:
            os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.001)

    before = signal.signal(signal.SIGTERM, stop)
    hook = sys.unraisablehook
    try:
        with pytest.raises(SystemExit):
            use_up(callback, received)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert received == [signal.SIGTERM] * 2
    assert sys.unraisablehook is hook
    assert capfd.readouterr().err == ""


def test_other_exceptions_are_shown_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda dropped: shown.append(dropped.exc_value))
    error = ValueError("no")

    def callback(reference: object) -> None:
        raise error

    with sent_again([]):
        thing = Thing()
        reference = weakref.ref(thing, callback)
        del thing
    assert shown == [error]
    assert reference() is None
