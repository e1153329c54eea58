"""Figures and names as people read them."""

from __future__ import annotations

import math

from flexkit.report.schema import Cache, Key

_NARROW = "\u202f"

MODE_NAMES = {
    "stock": "Stock Linux",
    "normal-idle": "Normal, idle",
    "normal": "Normal",
    "strawman": "Strawman",
    "strawman-opt": "Strawman, optimized",
    "flexserve": "FlexServe",
}

METRIC_NAMES = {
    "ttft": "Time to first token",
    "ttft.other": "Time to first token without its compute",
    "ttft.other.sum": "Time to first token without its compute, summed over models and prompts",
    "tpot": "Time per output token",
    "e2e": "End to end",
    "slowdown": "Slowdown",
    "alloc.latency": "Allocation",
    "reclaim.latency": "Memory of a process out of secure pages",
    "reclaim.pagecache": "Memory of a process out of page cache",
    "reclaim.cost": "Giving up secure memory",
    "reclaim.cost.alone": "Giving up secure memory, scrubbing apart",
    "reclaim.drop": "Giving up page cache",
    "switch.smc": "Null call",
    "switch.world": "World switch",
    "switch.clear": "Clearing a page",
    "switch.donate": "Donating a page",
    "switch.recall": "Recalling a page",
    "switch.recall.scrub": "Scrubbing a recalled page",
}

PRESSURES = {
    "idle": "memory free",
    "pagecache": "page cache full",
    "anon": "memory full",
    "half": "memory half fragmented",
    "fragmented": "memory fragmented",
}


def plain(value: float) -> str:
    """Three significant digits, no exponent, thousands apart, no trailing zeros."""
    text = exact(value)
    return text.rstrip("0").rstrip(".") if "." in text else text


def exact(value: float) -> str:
    """Three significant digits, trailing zeros kept: for columns. Whole digits are never cut."""
    rounded = float(f"{value:.3g}") if abs(value) < 1000 else value
    if rounded == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(rounded))))
    return f"{rounded:,.{digits}f}".replace(",", _NARROW)


def figure(value: float, unit: str) -> str:
    """A value with its unit; milliseconds become seconds from 10,000 on and microseconds below 0.01."""
    if unit == "ms" and value >= 10_000:
        return f"{exact(value / 1000)}{_NARROW}s"
    if unit == "ms" and 0 < value < 0.01:
        return f"{exact(value * 1000)}{_NARROW}µs"
    if unit == "ratio":
        return f"{exact(value)}×"
    if unit == "1/s":
        return f"{exact(value)}/s"
    return f"{exact(value)}{_NARROW}{unit_name(unit)}"


def unit_name(unit: str) -> str:
    """A row's unit as people write it."""
    return {"us": "µs"}.get(unit, unit)


def metric_name(metric: str) -> str:
    """What a metric is called; its own name where it has no other."""
    return METRIC_NAMES.get(metric, metric)


def mode_name(mode: str | None) -> str:
    """As people call it; a mode without a name is what it is."""
    return MODE_NAMES.get(mode or "", mode or "")


def cache_note(cache: Cache) -> str:
    """``cold``, ``warm``, or the share that was still there."""
    if cache is None:
        return ""
    if isinstance(cache, str):
        return cache
    return f"{100 * cache:.0f}{_NARROW}% cached"


def note(key: Key) -> str:
    """What of a row's configuration stands beside its mode's name."""
    if key.cache is not None:
        return cache_note(key.cache)
    return {"dropped": "from disk", "kept": "page cache"}.get(key.page_cache or "", "")


def side(key: Key) -> str:
    """Mode and variant, in one."""
    said = note(key)
    return f"{mode_name(key.mode)}{', ' + said if said else ''}"


def model_name(label: str | None) -> str:
    """A model's name without its hash."""
    return (label or "").split("@")[0]


def configuration(key: Key) -> str:
    """Model and prompt."""
    words = [model_name(key.model), f"{key.prompt_tokens}-token prompt" if key.prompt_tokens else "", key.subject or ""]
    return ", ".join(word for word in words if word)


def place(key: Key) -> str:
    """Model, prompt, size and pressure: what of a configuration is not its mode."""
    words = [configuration(key), size(key.size_bytes), PRESSURES.get(key.pressure or "", "")]
    return ", ".join(word for word in words if word)


def size(size_bytes: int | None) -> str:
    """Bytes as KB or MB of 1,024; empty for None."""
    if size_bytes is None:
        return ""
    return (
        f"{plain(size_bytes / 1024)}{_NARROW}KB"
        if size_bytes < 1 << 20
        else f"{plain(size_bytes / (1 << 20))}{_NARROW}MB"
    )


def span(values: list[float]) -> str:
    """``3.1 to 12.4``, or the one figure."""
    low, high = exact(min(values)), exact(max(values))
    return low if low == high else f"{low} to {high}"
