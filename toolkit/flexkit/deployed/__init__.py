"""What is to be on a board's media, and what was written there: plans and the ledger."""

from flexkit.deployed.ledger import Deployment, Ledger
from flexkit.deployed.plan import Plan, Write, make_plan

__all__ = ["Deployment", "Ledger", "Plan", "Write", "make_plan"]
