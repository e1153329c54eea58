"""Models: the story grammar, the training recipe, synthetic models, the strict GGUF reader and writer, the catalogue.

What other parts use stands here; training (``flexkit.models.train``) is imported only by its command.
"""

from flexkit.models.catalogue import demo_model, find, synthetic
from flexkit.models.inspect import ModelInfo, check
from flexkit.models.prompts import prompt_of, sample_text

__all__ = ["ModelInfo", "check", "demo_model", "find", "prompt_of", "sample_text", "synthetic"]
