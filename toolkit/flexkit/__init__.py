"""FlexKit: build, flash, drive and measure FlexServe, LLM inference inside Arm TrustZone."""

__version__ = "0.1.0"
