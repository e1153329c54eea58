"""Board types (``boards/*.toml``) and the site's instances of them (``lab.toml``)."""

from flexkit.boards.load import DEFAULT, Lab, known, lab_file, load, load_file, load_lab, resolve
from flexkit.boards.schema import Board, Instance, LabBoard, Medium, MediumRegion, Region, Stage

__all__ = [
    "DEFAULT",
    "Board",
    "Instance",
    "Lab",
    "LabBoard",
    "Medium",
    "MediumRegion",
    "Region",
    "Stage",
    "known",
    "lab_file",
    "load",
    "load_file",
    "load_lab",
    "resolve",
]
