"""How numbers are told to people."""

from collections.abc import Collection, Sequence


def counted(number: int, thing: str) -> str:
    """Return a number of things.

    >>> counted(1, "file"), counted(1200, "file")
    ('1 file', '1,200 files')
    """
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def ranges(numbers: Sequence[int]) -> str:
    """Return whole numbers in rising order, neighbours as a range.

    >>> ranges([1, 2, 3, 5]), ranges([7])
    ('1-3, 5', '7')
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)


def duration(seconds: int | float) -> str:
    """Return a time in the unit that suits it.

    >>> duration(90), duration(150), duration(9000)
    ('90 s', '2.5 min', '2.5 h')
    """
    for unit, length in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"


def size(count: int | float) -> str:
    """Return a number of bytes in MB or GB.

    >>> size(3e5), size(25e6), size(2.5e9)
    ('0.3 MB', '25 MB', '2.5 GB')
    """
    if count >= 1e9:
        return f"{count / 1e9:,.1f} GB"
    return f"{count / 1e6:.0f} MB" if count >= 1e6 else f"{count / 1e6:.1f} MB"


def span(numbers: Collection[int]) -> str:
    """Return what numbers lie between, as one number where they are the same.

    >>> span([90, 80, 85]), span([1200])
    ('80 to 90', '1,200')
    """
    least, most = min(numbers), max(numbers)
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"
