"""Writing what was built onto a board's media, and knowing what is on them."""

from flexkit.flash.backup import backups
from flexkit.flash.deploy import deploy, deploy_held, golden, rehearse, restore, rollback, set_golden

__all__ = [
    "backups",
    "deploy",
    "deploy_held",
    "golden",
    "rehearse",
    "restore",
    "rollback",
    "set_golden",
]
