"""Several processes that train one model: who they are, how they meet, and how they notice that one has died."""

from audiostride.ranks.group import ALONE, Ranks
from audiostride.ranks.meeting import join_ranks

__all__ = ["ALONE", "Ranks", "join_ranks"]
