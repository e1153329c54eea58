"""The event bus tells listeners about every end, also the bad ones."""

import pytest

from flexkit.events import Bus, Event, Phase


def test_a_step_announces_begin_progress_and_end() -> None:
    seen: list[Event] = []
    with Bus([seen.append]).step("flash", "root") as progress:
        progress(1, 2)
    assert [(event.phase, event.done, event.total) for event in seen] == [
        (Phase.BEGIN, 0, 0),
        (Phase.PROGRESS, 1, 2),
        (Phase.END, 0, 0),
    ]
    assert seen[-1].error is None


def test_a_step_that_fails_ends_with_its_error() -> None:
    seen: list[Event] = []
    failure = ValueError("no")
    with pytest.raises(ValueError, match="no"), Bus([seen.append]).step("flash"):
        raise failure
    assert seen[-1].phase is Phase.END
    assert seen[-1].error is failure
