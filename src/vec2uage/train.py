"""Train age regressors: `python -m vec2uage.train` for one run, `-m` for a grid."""

from vec2uage.config.command import Invocation, command


@command("train")
def main(invocation: Invocation) -> int:
    """Train the one run that the options describe; a grid is trained as a whole, by `hydra_plugins.vec2uage_fused`."""
    from vec2uage.sweep.single_run import run_single

    return run_single(invocation)


if __name__ == "__main__":
    main()
