"""Report on sweeps: `python -m vec2uage.report sweep=outputs/sweeps/experiment=d1`."""

from vec2uage.base.arguments import shown
from vec2uage.base.foreign_text import visible
from vec2uage.config.command import Invocation, command


@command("report", repeatable="sweep")
def main(invocation: Invocation) -> None:
    """Write the report that the options describe; print what a busy reader needs."""
    from vec2uage.reporting.report_settings import ReportSettings
    from vec2uage.reporting.run import write

    report = write(invocation.settings(ReportSettings), invocation.folder)
    folder = shown(invocation.folder)
    print("\n".join(map(visible, [*report.summary, *(f"Beware: {warning}" for warning in report.warnings)])))
    print(f"\npage:    {folder}/index.html\ntables:  {folder}/tables\nfigures: {folder}/figures")


if __name__ == "__main__":
    main()
