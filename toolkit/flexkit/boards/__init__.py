"""Board types (``boards/*.toml``) and the site's instances of them (``lab.toml``)."""

from flexkit.boards.lab import DEFAULT, Instance, Lab, LabBoard, lab_file, load_lab, resolve
from flexkit.boards.load import known, load, load_file
from flexkit.boards.medium import Medium, MediumRegion, Way
from flexkit.boards.schema import Board, Region, Stage

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
    "Way",
    "known",
    "lab_file",
    "load",
    "load_file",
    "load_lab",
    "resolve",
]
