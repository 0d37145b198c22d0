"""The card of a tuned encoder as Markdown: what it was tuned on and how, how well it does, what it is for and what not.

After Mitchell et al. 2019 (Model cards for model reporting, arXiv:1810.03993). Everything in it stands in the encoder's
file, too (`TunedEncoder.about`).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vec2uage.base.foreign_text import markdown
from vec2uage.tuning.encoder_file import TunedEncoder
from vec2uage.tuning.pairs import COSINE, PICTURE, SUBJECT
from vec2uage.tuning.verification import ALL

_PAIRS = {
    ALL: "one person: all",
    SUBJECT: "one person: held-out faces of one subject",
    PICTURE: "one picture, by files or signatures",
    COSINE: "one picture or person, by the first encoder's cosine alone",
}
_FLATTERED = (
    "Pairs that were found by the first encoder's cosine alone flatter it: those that it misses are not among them."
)
_USES = (
    "It makes vectors of faces for models of age that were trained on its vectors, such as the one beside it: "
    "`embedder=tuned embedder.path=encoder.safetensors`. Models of other vectors refuse them.",
    "It is not for telling who a person is. Copies and pictures of one person are searched by `embedder=facenet`: no "
    "cosine was measured for this encoder, and tuning for age may have it forget persons.",
    "Faces of its training part are known to it: errors on them, or on other pictures of these persons, are no errors "
    "on faces that it never saw. A set that is prepared with it needs the same split.",
    "It was tuned on faces of the ages and the kind below alone, cut out as the name of its encoder says; of others "
    "nothing is known. No estimate proves an age.",
)


def text(tuned: TunedEncoder) -> str:
    """Return the card of an encoder."""
    about = tuned.about
    lines = [
        f"# Tuned face encoder {tuned.network}",
        *("", "## What it is for, and what not", "", *(f"- {use}" for use in _USES)),
        *("", "## What it was tuned on", "", *_table(("what", "value"), _tuned_on(tuned))),
        *("", "## How", "", *_table(("option", "value"), _how(about["training"]))),
        *("", "## Errors in years, on faces that are held out", "", *_errors(about["scores"])),
        *("", "## Does it still tell persons apart?", "", *_verification(about["verification"])),
    ]
    return "\n".join(lines) + "\n"


def _tuned_on(tuned: TunedEncoder) -> list[tuple[str, str]]:
    about = tuned.about
    return [
        ("encoder before", about["encoder"]),
        ("its weights", f"{tuned.base}, SHA-256 {tuned.base_sha256}"),
        ("begins from the model", f"SHA-256 {about['start']}"),
        ("fingerprint of the data", about["data"]),
        ("faces", ", ".join(f"{rows:,} {part}" for part, rows in about["rows"].items())),
        ("ages it was trained on", " to ".join(f"{age:g}" for age in about["ages"])),
    ]


def _how(training: Mapping[str, Any]) -> list[tuple[str, str]]:
    plain = {name: value for name, value in training.items() if not isinstance(value, Mapping)}
    of_model = {f"model.{name}": value for name, value in training["model"].items()}
    left_out = {f"regularization.{name}": value for name, value in training["regularization"].items()}
    every = of_model | training["choices"] | training["steps"] | left_out | plain
    return [(name, _shown(value)) for name, value in every.items()]


def _errors(scores: Mapping[str, Mapping[str, float]]) -> list[str]:
    names = {"start": "the run that it begins from", "tuned": "tuned"}
    columns = list(dict.fromkeys(name for of in scores.values() for name in of))
    heads = [name.replace("/mae", ", MAE").replace("/crps", ", CRPS") for name in columns]
    rows = [(names[which], *(_number(of.get(column)) for column in columns)) for which, of in scores.items()]
    return [
        *_table(("", *heads), rows),
        "",
        "The epoch was chosen by the validation part, which therefore looks better than it is; the test part was not "
        "looked at.",
    ]


def _verification(found: Mapping[str, Any] | None) -> list[str]:
    if found is None:
        return ["Not measured: no pair of one person is known among these faces, or none of two."]
    before, after = found["before"], found["after"]
    different, threshold = before["different"]["pairs"], found["threshold"]
    heads = [
        "pairs",
        "",
        "area",
        f"found at {found['false_accepts']:g}",
        f"from {threshold or 0:g} on",
        "median cosine",
    ]
    rows: list[tuple[str, ...]] = []
    for how, pairs in _PAIRS.items():
        for when, told in (("before", before), ("after", after)):
            if how in told["same"]:
                one = told["same"][how]
                rows.append(_row(f"{pairs} ({one['pairs']:,})", when, one))
    for when, told in (("before", before), ("after", after)):
        rows.append(_row(f"two persons ({different:,})", when, told["different"]))
    if threshold is None:
        heads.pop(4)
        rows = [row[:4] + row[5:] for row in rows]
    return [
        *_table(heads, rows),
        "",
        "Area: under the ROC, how likely a pair of one person has a higher cosine than one of two. Found at "
        f"{found['false_accepts']:g}: share of the pairs at a cosine that so many of the pairs of two persons reach. "
        "Pairs of two persons are those of held-out faces that no audit lists and that are not known to be of one "
        "subject; pairs of one person that an audit lists are also of faces that were trained on. "
        f"{_FLATTERED if COSINE in before['same'] else ''}".rstrip(),
    ]


def _row(pairs: str, when: str, told: Mapping[str, Any]) -> tuple[str, ...]:
    area = _number(told.get("area"), digits=6)  # of copies it is nearly 1
    return pairs, when, area, *(_number(told.get(name)) for name in ("found", "above", "median"))


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [heads, ["---"] * len(heads), *([markdown(cell) for cell in row] for row in rows)]
    return ["| " + " | ".join(line) + " |" for line in lines]


def _shown(value: object) -> str:
    return "null" if value is None else str(value)


def _number(value: float | None, digits: int = 4) -> str:
    return "" if value is None else f"{value:.{digits}f}"
