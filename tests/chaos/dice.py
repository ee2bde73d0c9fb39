"""Chance that is asked for again: the same words give the same dice, whatever else was thrown meanwhile."""
import random


def dice(*words):
    return random.Random(" ".join(map(str, words)))
