"""Writing what was built onto a board's media, and knowing what is on them."""

from flexkit.flash.backup import backups
from flexkit.flash.deploy import deploy, deploy_held, golden, rehearse, restore, rollback, set_golden
from flexkit.flash.ledger import Deployment, Ledger
from flexkit.flash.plan import Plan, Write, make_plan

__all__ = [
    "Deployment",
    "Ledger",
    "Plan",
    "Write",
    "backups",
    "deploy",
    "deploy_held",
    "golden",
    "make_plan",
    "rehearse",
    "restore",
    "rollback",
    "set_golden",
]
