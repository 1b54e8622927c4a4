"""How errors are told without what they may hold."""

from traceback import walk_tb


def describe(error: BaseException) -> str:
    """The types and places of an exception and its causes, without their texts, which may hold anything."""
    parts: list[str] = []
    link: BaseException | None = error
    while link is not None:
        places = [
            f"{frame.f_globals.get('__name__')}:{line} {frame.f_code.co_name}"
            for frame, line in walk_tb(link.__traceback__)
        ]
        parts.append(f"{type(link).__module__}.{type(link).__qualname__} in " + " > ".join(places))
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return "; from ".join(parts)
