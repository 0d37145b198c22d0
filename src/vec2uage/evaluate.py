"""Evaluate a trained model on face vectors: `python -m vec2uage.evaluate checkpoint=... dataset.path=...`."""

from vec2uage.base.arguments import shown
from vec2uage.config.command import Invocation, command


@command("evaluate")
def main(invocation: Invocation) -> None:
    """Predict the ages of the faces that the options describe; write and print the errors."""
    from vec2uage.augmentation.tta import augmented_vectors
    from vec2uage.evaluation.evaluate_settings import Evaluation
    from vec2uage.evaluation.run import evaluate

    settings = invocation.settings(Evaluation)
    asked = {"config": invocation.options, "command": invocation.line}
    said = evaluate(settings, invocation.folder, asked, augmented_vectors)
    folder = shown(invocation.folder)
    print(f"{said}\n\nscores:      {folder}/evaluation.json")
    print(f"predictions: {folder}/predictions.csv")
    print(f"tables:      {folder}/by_column.csv, operating.csv\nfigures:     {folder}/*.png")


if __name__ == "__main__":
    main()
