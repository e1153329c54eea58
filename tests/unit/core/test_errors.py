"""Exit codes are an interface (CONTRACT.md, Commands): each class keeps its number."""

import pytest

from flexkit import errors


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.FlexError, 1),
        (errors.Invalid, 1),
        (errors.BadInput, 2),
        (errors.MissingTool, 3),
        (errors.BuildError, 4),
        (errors.FlashError, 5),
        (errors.BoardLost, 6),
        (errors.TimedOut, 7),
        (errors.Busy, 8),
    ],
)
def test_exit_codes(kind: type[errors.FlexError], code: int) -> None:
    assert kind("x").exit_code == code
