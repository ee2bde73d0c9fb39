"""The asynchronous classes say what their blocking namesakes say."""

from __future__ import annotations

import inspect
from typing import Callable, TypeVar

C = TypeVar("C", bound=type)


def documented_by(source: type) -> Callable[[C], C]:
    """Give a class, and each of its public members, the text of the one with the same name."""

    def document(target: C) -> C:
        if not target.__doc__:
            target.__doc__ = source.__doc__
        for name, member in list(vars(target).items()):
            theirs = inspect.getattr_static(source, name, None)
            if name.startswith("_") or theirs is None:
                continue
            member = getattr(member, "__func__", member)
            if not getattr(member, "__doc__", None):
                theirs = getattr(theirs, "__func__", theirs)
                if isinstance(member, property):
                    setattr(target, name, property(member.fget, doc=theirs.__doc__))
                else:
                    member.__doc__ = theirs.__doc__
        return target

    return document
