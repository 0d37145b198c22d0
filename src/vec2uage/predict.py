"""Estimate the ages of the faces of a case: `python -m vec2uage.predict checkpoint=... source.path=photos`."""

from vec2uage.config.command import Invocation, command, discard_unused


@command("predict")
def main(invocation: Invocation) -> int:
    """Find the faces in the files of a case, estimate their ages, and write what an examiner works with."""
    from vec2uage.case.predict_settings import AskedModel, PredictSettings

    if invocation.cfg.serve == "stdio":
        from vec2uage.case.serve import serve_stdio

        code = serve_stdio(invocation.settings_alone(AskedModel))
        discard_unused(invocation.folder)
        return code
    from vec2uage.case.run import predict

    return predict(invocation.settings(PredictSettings), invocation)


if __name__ == "__main__":
    main()
