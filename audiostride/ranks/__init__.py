"""Several processes that train one model: who they are, how they meet, and how they notice that one has died."""

from audiostride.ranks.group import ALONE, Ranks
from audiostride.ranks.meeting import is_first_process, join_ranks

__all__ = ["ALONE", "Ranks", "is_first_process", "join_ranks"]
