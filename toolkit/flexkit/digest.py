"""What a file is: the SHA-256 of its bytes."""

from __future__ import annotations

import hashlib
from pathlib import Path

from flexkit.errors import BadInput


def sha256_of(path: Path) -> str:
    """In hex. Raises BadInput for a file that cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror or error}") from error
