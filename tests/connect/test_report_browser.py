"""The page in a real browser, at desktop and phone width: plots, filters, print, no network, and accessibility."""

from __future__ import annotations

import itertools
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import expect, sync_playwright

from tests.connect.looked import Looked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
PLOTS = ("completed", "grades", "bins", "months", "seconds", "moved")

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="there is no Chromium to look with: install one, on Debian `apt-get install chromium`"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=30_000)
    quiet = ("background-networking", "component-update", "gpu", "quic", "sync")
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--no-first-run", *(f"--disable-{what}" for what in quiet)]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a page with HTML in every name and every kind of content: published twice, held, then blocked."""
    college = Looked(tmp_path_factory.mktemp("college"))
    college.bite()
    college.connect("publish")
    college.newer(3)
    college.sql("update users set \"givenName\" = 'Bea' where \"sourcedId\" = 'a1'")
    college.lose("results", "\"sourcedId\" = 'r.ka1.3'")
    college.connect("publish", "--page", "off")
    for file, column in (("results", "studentSourcedId"), ("enrollments", "userSourcedId"), ("users", "sourcedId")):
        college.sql(f"delete from {file} where \"{column}\" like 'b%'")
    assert college.connect("publish").exit_code == 6
    return college.page.as_uri()


class Seen:
    """An open page, with its requests and the messages of its console."""

    def __init__(self, browser: Browser, address: str, size: dict[str, Any], scheme: Any) -> None:
        self.context = browser.new_context(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
        self.page: Page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(address)
        self.page.wait_for_selector("body.drawn")

    def rows(self, where: str) -> list[str]:
        return [row.inner_text() for row in self.page.locator(f"{where} tbody tr").all() if row.is_visible()]

    def wide(self) -> int:
        found: int = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        return found

    def broken(self) -> list[str]:
        """Return the violations that axe finds when everything is unfolded."""
        self.page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        found = Axe().run(self.page).response["violations"]
        return [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found]


@pytest.fixture(scope="module")
def desk(browser: Browser, address: str) -> Iterator[Seen]:
    seen = Seen(browser, address, DESK, "light")
    yield seen
    seen.context.close()


@pytest.fixture(scope="module")
def phone(browser: Browser, address: str) -> Iterator[Seen]:
    seen = Seen(browser, address, PHONE, "dark")
    yield seen
    seen.context.close()


@pytest.mark.parametrize("name", ["desk", "phone"])
def test_it_draws_every_plot_asks_for_nothing_and_complains_of_nothing(
    name: str, request: pytest.FixtureRequest, address: str
) -> None:
    seen: Seen = request.getfixturevalue(name)
    assert (seen.said, seen.asked) == ([], [address])
    for plot in PLOTS:
        box = seen.page.locator(f"#plot-{plot} svg").bounding_box()
        assert box, plot
        assert box["height"] > 40, plot
        assert box["x"] + box["width"] <= seen.page.viewport_size["width"], plot  # type: ignore[index]
    assert seen.wide() == 0
    assert seen.page.evaluate("window.bitten") is None
    assert "ago" in seen.page.locator(".facts").inner_text()


def test_filters_leave_the_rows_and_plots_of_a_school_and_a_program(desk: Seen) -> None:
    page = desk.page
    before = page.locator("#plot-completed").inner_text()
    assert len(desk.rows("#schools")) == 4
    page.select_option("#school", "b")
    plot = page.locator("#plot-completed")
    expect(plot).not_to_contain_text("40 of 40")
    assert [row.split()[:2] for row in desk.rows("#schools")] == [["Program", "B"]]
    assert page.locator("#shown").inner_text() == "1 of 4 programs"
    assert "4 of 20" in page.locator("#plot-completed").inner_text()
    assert "not enough final grades" in page.locator("#plot-grades").inner_text()
    assert "Class kb1" in page.locator("#plot-completed").inner_text()  # a single program: its courses
    assert page.locator("#program option:not([disabled])").count() == 2
    page.get_by_role("button", name="Show all").click()
    expect(page.locator("#shown")).to_have_text("")
    expect(plot).to_contain_text("40 of 40")
    assert plot.inner_text() == before
    assert len(desk.rows("#schools")) == 4
    assert desk.said == []


def test_it_is_read_without_a_mouse_and_without_plots(desk: Seen) -> None:
    page = desk.page
    first = page.locator("a, button, summary, select, [tabindex]").first
    assert first.inner_text() == "To the content"
    first.focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    levels = page.evaluate("[...document.querySelectorAll('h1, h2, h3')].map((one) => Number(one.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in itertools.pairwise(levels))
    page.locator("details.numbers > summary").focus()
    page.keyboard.press("Enter")
    assert any("40" in row for row in desk.rows(".numbers"))


def test_on_paper_all_is_open_and_black_on_white_and_nothing_is_to_be_pressed(phone: Seen) -> None:
    page = phone.page  # which is dark
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.locator("details:not([open])").count() == 0
    assert not page.locator("#filters").is_visible()
    colours = "(({backgroundColor, color}) => [backgroundColor, color])(getComputedStyle(document.querySelector({})))"
    assert page.evaluate(colours.replace("{}", "'body'")) == ["rgb(255, 255, 255)", "rgb(0, 0, 0)"]
    assert page.evaluate(colours.replace("{}", "'.badge.stop'")) == ["rgb(249, 229, 228)", "rgb(163, 38, 42)"]
    page.emulate_media(media="screen")
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.locator("details:not([open])").count()


@pytest.mark.parametrize("name", ["desk", "phone"])
def test_axe_finds_nothing(name: str, request: pytest.FixtureRequest) -> None:
    seen: Seen = request.getfixturevalue(name)
    assert seen.broken() == []
    assert seen.wide() == 0  # with everything unfolded


def test_without_scripts_the_tables_are_there_and_the_filters_are_not(browser: Browser, address: str) -> None:
    context = browser.new_context(java_script_enabled=False, viewport=PHONE)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(address)
    assert page.get_by_role("heading", level=1).inner_text().startswith("The last publish was blocked")
    assert page.locator("#schools tbody tr").count() == 4
    assert not page.locator("#filters").is_visible()
    assert not page.locator("#plot-completed").is_visible()
    context.close()
