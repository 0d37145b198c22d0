"""A real browser, for the pages that are tested in one."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 740}

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to open the page in")


@dataclass
class Tab:
    """A page as a browser shows it: notes all that it asks for and complains about."""

    page: Any
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(5000)
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def style(self, selector: str, name: str) -> str:
        """Return the computed style of the first element that a selector finds."""
        value: str = self.page.locator(selector).first.evaluate(
            "(element, name) => getComputedStyle(element)[name]", name
        )
        return value


@contextmanager
def chromium() -> Iterator[Any]:
    """Run the browser."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def opened_in(tab: Tab, file: Path) -> Iterator[Tab]:
    """Open a file afresh on a light desktop; it must neither complain nor ask for anything but itself."""
    tab.page.set_viewport_size(DESKTOP)
    tab.page.emulate_media(media="screen", color_scheme="light")
    tab.page.goto("about:blank")  # a change of the address's fragment alone would open nothing
    tab.requests.clear()
    tab.page.goto(file.as_uri())
    yield tab
    assert not tab.complaints
    assert [url for url in tab.requests if not url.startswith("data:")] == [file.as_uri()]
