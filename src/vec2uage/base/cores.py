"""How many processor cores there are to use, and how many threads compute."""

from collections.abc import Iterator
from contextlib import contextmanager


def cores() -> int:
    """Return how many CPU cores this process may use: those of its affinity, or of its container's quota if fewer."""
    from joblib import cpu_count

    count: int = cpu_count()
    return count


def use_threads(count: int) -> None:
    """Let torch compute with this many CPU threads what the calling thread asks for.

    A thread that has not asked yet would take over what another one sets later, so it asks first.
    """
    import torch

    torch.get_num_threads()
    torch.set_num_threads(count)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Compute the block with this many CPU threads."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
