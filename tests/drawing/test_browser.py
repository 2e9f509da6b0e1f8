"""What the page with the stepper does when it is opened and used, in Chromium.

Skipped where Chromium or its driver is missing, unless TINYGRAD_EDU_BROWSER=required.
"""

from __future__ import annotations

import itertools
import os
import shutil

import pytest
from sample_graph import GRAPH, HOSTILE, STILL, labelled

import tinygrad_edu as te
from tinygrad_edu.drawing.graph import Box, Edge, Graph, Share, Step
from tinygrad_edu.drawing.page import to_fragment, to_page

REQUIRED = os.environ.get("TINYGRAD_EDU_BROWSER") == "required"
try:
    from selenium import webdriver
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
except ImportError:
    if REQUIRED:
        raise
    pytest.skip("needs selenium", allow_module_level=True)

SWITCHES = """
    --headless=new --no-sandbox --disable-gpu --disable-background-networking
    --disable-component-update --disable-sync --no-first-run
""".split()

SHOWN = """
    const figure = arguments[0];
    const shown = (x) => x !== null && getComputedStyle(x).display !== "none";
    const numbers = (name, part) => [...figure.querySelectorAll(`[data-${name}]`)]
        .filter((x) => shown(x.querySelector(part))).map((x) => +x.dataset[name]);
    const having = (name, state) => [...figure.querySelectorAll(`.${name}.${state}`)]
        .map((x) => +x.dataset[name]);
    return {
        edges: numbers("edge", "path.gradient"), rules: numbers("edge", ".rule"),
        bands: numbers("box", ".gradient"), partial: numbers("box", ".partial"),
        turn: having("box", "turn"), now: having("edge", "now"),
        given: having("edge", "given"), past: having("edge", "past"),
    };
"""


class Browser:
    """Chromium, with what these tests want of it."""

    def __init__(self, folder):
        options = webdriver.ChromeOptions()
        for switch in (*SWITCHES, f"--user-data-dir={folder / 'profile'}"):
            options.add_argument(switch)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        options.binary_location = shutil.which("chromium")
        service = webdriver.ChromeService(shutil.which("chromedriver"))
        self.driver = webdriver.Chrome(options, service)
        self.folder, self.numbers = folder, itertools.count()
        self.run = self.driver.execute_script
        self.command = self.driver.execute_cdp_cmd

    def open(self, html, address=""):
        """Open a page, a fragment, or several, and return the figures on it."""
        self.driver.get(f"{self.write(html)}{address}")
        self.settle()
        return self.driver.find_elements(By.CSS_SELECTOR, ".tinygrad-edu-stepper")

    def write(self, html):
        """Write a page to a new file, so that it is loaded anew; return its address."""
        file = self.folder / f"page{next(self.numbers)}.html"
        file.write_text(html, "utf-8")
        return file.as_uri()

    def settle(self):
        """Wait until what was pressed and resized has been drawn."""
        self.driver.execute_async_script(
            "requestAnimationFrame(() => requestAnimationFrame(arguments[0]))"
        )

    def actions(self):
        return ActionChains(self.driver, duration=20)  # milliseconds for a move

    def press(self, *keys):
        self.actions().send_keys(*keys).perform()

    def screen(self, width=1280, height=800, **media):
        size = {"width": width, "height": height}
        self.command(
            "Emulation.setDeviceMetricsOverride",
            {**size, "deviceScaleFactor": 1, "mobile": width < 500},
        )
        features = [
            {"name": f"prefers-{name.replace('_', '-')}", "value": value}
            for name, value in media.items()
        ]
        self.command("Emulation.setEmulatedMedia", {"features": features})

    def address(self):
        return self.run("return location.hash")


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        if REQUIRED:
            pytest.fail("needs chromium and chromedriver")
        pytest.skip("needs chromium and chromedriver")
    browser = Browser(tmp_path_factory.mktemp("browser"))
    yield browser
    browser.driver.quit()


@pytest.fixture
def browser(chromium):
    """The browser as it is at first; what it complains about fails the test."""
    chromium.screen()
    yield chromium
    complaints = [entry["message"] for entry in chromium.driver.get_log("browser")]
    assert complaints == []


def part(figure, name):
    return figure.find_element(By.CLASS_NAME, name)


def box(figure, i):
    return figure.find_element(By.CSS_SELECTOR, f'[data-box="{i}"]')


def place(figure):
    """The step that the figure shows, as its caption and its slider say."""
    said = figure.parent.execute_script(
        """
        const part = (selector) => arguments[0].querySelector(selector);
        const [slider, label] = [part(".slider"), part(".place").textContent];
        const heading = part(".caption h2").textContent;
        return [slider.value, label, slider.ariaValueText, heading];
        """,
        figure,
    )
    number = said[0]
    heading = f"Step {number} of 3" if number != "0" else "Whole picture"
    assert said == [number, f"{number} of 3", heading, heading]
    return int(number)


# --------------------------------------------------------------------- what is shown

NOTHING = {name: [] for name in ("partial", "turn", "now", "given", "past")}
STEPS = [  # numbers of edges and boxes
    {
        "edges": [0, 2, 3, 4],
        "rules": [0, 2, 3, 4],
        "bands": [0, 2, 3, 4],
        **NOTHING,
    },
    {
        "edges": [3, 4],
        "rules": [3, 4],
        "bands": [3, 4],
        "partial": [2],
        "turn": [4],
        "now": [3, 4],
        "given": [],
        "past": [],
    },
    {
        "edges": [2, 3, 4],
        "rules": [2, 3, 4],
        "bands": [2, 3, 4],
        "partial": [],
        "turn": [3],
        "now": [2],
        "given": [3],
        "past": [4],
    },
    {
        "edges": [0, 2, 3, 4],
        "rules": [0, 2, 3, 4],
        "bands": [0, 2, 3, 4],
        "partial": [],
        "turn": [2],
        "now": [0],
        "given": [2, 4],
        "past": [3],
    },
]
WHOLE = STEPS[0]


@pytest.mark.parametrize("k", range(4))
def test_step_shows_the_gradients_that_are_there_by_then(browser, k):
    [figure] = browser.open(to_page(GRAPH), f"#{k}")

    assert place(figure) == k
    assert browser.run(SHOWN, figure) == STEPS[k]


def test_box_with_a_part_of_its_sum_says_so(browser):
    [figure] = browser.open(to_page(GRAPH), "#1")

    assert "+= 1 of 2" in box(figure, 2).text


def test_box_with_a_part_of_its_sum_says_that_there_is_more_than_is_shown(browser):
    w = te.tensor([1.0, 2.0], requires_grad=True, name="w")
    y = te.tensor([1.0, 2.0])
    for _ in range(50):
        y = te.tanh(y * w)
    graph = te.draw(te.sum(y)).graph
    number = next(i for i, shown in enumerate(graph.boxes) if shown.name == "w")

    [figure] = browser.open(to_page(graph), "#3")

    assert "+= 1 of more than 2" in box(figure, number).text


def test_turn_and_present_gradients_are_told_apart_without_colour(browser):
    [figure] = browser.open(to_page(GRAPH), "#2")

    def look(selector, what):
        found = figure.find_element(By.CSS_SELECTOR, selector)
        return float(found.value_of_css_property(what).removesuffix("px"))

    frame, line = ".box{} .shape", ".edge{} path.gradient"
    assert look(frame.format(".turn"), "stroke-width") >= 2 * look(
        frame.format(":not(.turn)"), "stroke-width"
    )
    assert look(line.format(".past"), "opacity") < 0.6
    assert look(line.format(".now"), "opacity") == 1


def test_caption_tells_the_step_as_the_list_does(browser):
    [figure] = browser.open(to_page(GRAPH))
    caption = part(figure, "caption")
    before = caption.text

    part(figure, "next").click()

    assert caption.get_attribute("aria-live") == "polite"
    assert caption.text != before
    assert caption.text.startswith("Step 1 of 3\nloss = q + z\nadd, ()\n")
    first = figure.find_element(By.CSS_SELECTOR, ".steps > li")
    assert first.get_property("textContent") in caption.get_property("textContent")


def test_list_of_all_steps_can_be_opened(browser):
    [figure] = browser.open(to_page(GRAPH))
    steps = figure.find_elements(By.CSS_SELECTOR, ".steps > li")
    before = [step.is_displayed() for step in steps]

    figure.find_element(By.TAG_NAME, "summary").click()

    assert before == [False] * 3
    assert [step.is_displayed() for step in steps] == [True] * 3


def test_nothing_moves_from_step_to_step(browser):
    [figure] = browser.open(to_page(GRAPH))
    places = """
        const fixed = arguments[0].querySelectorAll("svg, .shape, .forward, .slider");
        return [...fixed].map((x) => JSON.stringify(x.getBoundingClientRect())).join()
    """
    seen = []

    for _ in range(4):
        seen.append(browser.run(places, figure))
        browser.press(Keys.ARROW_RIGHT)

    assert len({*seen}) == 1 and seen[0].count("width") > 10


def test_picture_without_a_walk_can_be_looked_at(browser):
    [figure] = browser.open(to_page(STILL), "#2")

    part(figure, "in").click()
    browser.press(Keys.ARROW_RIGHT)

    assert figure.find_elements(By.CSS_SELECTOR, ".slider, .next, .turn") == []
    assert browser.run(SHOWN, figure) == WHOLE


# -------------------------------------------------------------------------- controls


@pytest.mark.parametrize(
    ("start", "button", "end"),
    [
        (0, "next", 1),
        (2, "next", 3),
        (3, "next", 3),
        (3, "back", 2),
        (1, "back", 0),
        (0, "back", 0),
        (2, "start", 0),
    ],
)
def test_buttons(browser, start, button, end):
    [figure] = browser.open(to_page(GRAPH), f"#{start}")

    part(figure, button).click()

    assert place(figure) == end
    assert browser.address() == f"#{end}"


@pytest.mark.parametrize(("k", "ends"), [(0, ["back"]), (1, []), (3, ["next"])])
def test_button_that_leads_nowhere_says_so_and_keeps_the_focus(browser, k, ends):
    [figure] = browser.open(to_page(GRAPH), f"#{k}")

    buttons = {name: part(figure, name) for name in ("back", "next")}
    off = [n for n, b in buttons.items() if b.get_attribute("aria-disabled") == "true"]
    assert off == ends
    assert all(button.is_enabled() for button in buttons.values())


def test_slider(browser):
    [figure] = browser.open(to_page(GRAPH))
    slider = part(figure, "slider")

    half = slider.rect["width"] // 2
    browser.actions().drag_and_drop_by_offset(slider, half, 0).perform()
    far = place(figure)
    slider.send_keys(Keys.ARROW_LEFT)

    assert (far, place(figure)) == (3, 2)
    assert slider.accessible_name.startswith("Step")


@pytest.mark.parametrize(
    ("keys", "end"),
    [
        ([Keys.ARROW_RIGHT], 1),
        ([Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_LEFT], 1),
        ([Keys.ARROW_LEFT], 0),
        ([Keys.END], 3),
        ([Keys.END, Keys.ARROW_RIGHT], 3),
        ([Keys.END, Keys.HOME], 0),
        (["3", "n", " "], 0),
    ],
)
def test_keyboard(browser, keys, end):
    [figure] = browser.open(to_page(GRAPH))

    browser.press(*keys)

    assert place(figure) == end


@pytest.mark.parametrize("modifier", [Keys.SHIFT, Keys.CONTROL])
def test_keys_with_a_modifier_are_the_browsers(browser, modifier):
    """Alt and an arrow leave the page, for one."""
    [figure] = browser.open(to_page(GRAPH), "#1")

    chain = browser.actions().key_down(modifier)
    chain.send_keys(Keys.ARROW_RIGHT).key_up(modifier).perform()

    assert place(figure) == 1


@pytest.mark.parametrize(
    ("address", "k"), [("", 0), ("#2", 2), ("#0", 0), ("#99", 3), ("#x", 0), ("#-1", 0)]
)
def test_deep_link(browser, address, k):
    [figure] = browser.open(to_page(GRAPH), address)

    assert place(figure) == k


def test_change_of_the_address_is_followed(browser):
    [figure] = browser.open(to_page(GRAPH), "#1")

    browser.run("location.hash = '#3'")
    browser.settle()

    assert place(figure) == 3


def test_steps_leave_no_trail_and_do_not_scroll(browser):
    browser.screen(height=300)
    [figure] = browser.open(to_page(GRAPH))
    browser.command("Page.resetNavigationHistory", {})  # it has room for so many
    browser.run("scrollTo(0, 40)")
    where = "return [history.length, scrollY]"
    before = browser.run(where)

    browser.press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)

    assert place(figure) == 2 and browser.address() == "#2"
    assert browser.run(where) == before


def test_two_figures_are_independent(browser):
    page = to_fragment(GRAPH, prefix="a") + to_fragment(GRAPH, prefix="b")
    a, b = browser.open(page, "#b-2")
    opened = (place(a), place(b))

    part(a, "next").click()
    browser.press(Keys.END)  # goes where the focus is

    assert opened == (0, 2)
    assert (place(a), place(b)) == (3, 2)
    assert browser.run(SHOWN, a) == STEPS[3] and browser.run(SHOWN, b) == STEPS[2]
    assert browser.address() == "#a-3"


def test_figure_in_a_page_leaves_its_keys_alone(browser):
    page = f"<input id=name>{to_fragment(GRAPH, prefix='a')}"
    [figure] = browser.open(page)

    browser.press(Keys.ARROW_RIGHT)
    browser.driver.find_element(By.ID, "name").send_keys("ab", Keys.HOME, Keys.END)
    elsewhere = place(figure)
    part(figure, "heading").click()
    browser.press(Keys.ARROW_RIGHT)

    assert elsewhere == 0
    assert place(figure) == 1


def test_form_field_keeps_its_keys(browser):
    field = "<input id=name value=ab></body>"
    [figure] = browser.open(to_page(GRAPH).replace("</body>", field), "#1")
    name = browser.driver.find_element(By.ID, "name")

    name.send_keys(Keys.HOME, Keys.ARROW_RIGHT, "x")

    assert name.get_property("value") == "axb"
    assert place(figure) == 1


def test_figure_put_into_a_page_later_starts(browser):
    """As a notebook does it: markup first, then its scripts are run."""
    browser.open("<main></main>")
    browser.run(
        """
        const main = document.querySelector("main");
        main.innerHTML = arguments[0];
        for (const old of main.querySelectorAll("script")) {
            const script = document.createElement("script");
            script.type = old.type;
            script.textContent = old.textContent;
            old.replaceWith(script);
        }
        """,
        to_fragment(GRAPH, prefix="a"),
    )
    figure = browser.driver.find_element(By.ID, "a")

    part(figure, "next").click()

    assert place(figure) == 1


# ---------------------------------------------------------------- pan, zoom, details


def width(figure):
    return figure.find_element(By.TAG_NAME, "svg").rect["width"]


def test_zoom_buttons(browser):
    [figure] = browser.open(to_page(GRAPH))
    widths = [width(figure)]

    for name in ("in", "in", "out", "fit"):
        part(figure, name).click()
        widths.append(width(figure))

    assert widths[0] < widths[1] < widths[2] > widths[3] > widths[4] == widths[0]


def test_picture_that_does_not_fit_can_be_read_and_made_to_fit(browser):
    browser.screen(height=200)
    [figure] = browser.open(to_page(GRAPH))
    svg, stage = figure.find_element(By.TAG_NAME, "svg"), part(figure, "stage")
    natural = float(svg.get_attribute("height"))
    first = svg.rect["height"]

    part(figure, "fit").click()

    assert first == pytest.approx(0.7 * natural, abs=1)
    assert svg.rect["height"] <= stage.rect["height"] < first


def test_wheel_zooms_with_control_only(browser):
    [figure] = browser.open(to_page(GRAPH))
    stage = part(figure, "stage")
    wheel = """
        const event = new WheelEvent("wheel", {deltaY: -100, ctrlKey: arguments[1],
                                               bubbles: true, cancelable: true});
        return !arguments[0].dispatchEvent(event);
    """
    before = width(figure)

    taken = browser.run(wheel, stage, False)
    plain = width(figure)
    taken_with_control = browser.run(wheel, stage, True)

    assert (taken, plain) == (False, before)
    assert taken_with_control and width(figure) > before


def test_mouse_drags_the_picture(browser):
    [figure] = browser.open(to_page(GRAPH))
    stage = part(figure, "stage")
    for _ in range(6):
        part(figure, "in").click()
    where = "return [arguments[0].scrollLeft, arguments[0].scrollTop]"
    x, y = browser.run(where, stage)

    actions = browser.actions().move_to_element(stage).click_and_hold()
    actions.move_by_offset(30, 20).release().move_by_offset(60, 60).perform()

    assert browser.run(where, stage) == pytest.approx([x - 30, y - 20], abs=1)


@pytest.mark.parametrize("direction", ["TB", "LR"])
def test_zoomed_picture_follows_the_walk(browser, direction):
    [figure] = browser.open(to_page(GRAPH, direction=direction))
    browser.screen(reduced_motion="reduce")
    for _ in range(7):
        part(figure, "in").click()
    inside = """
        const [view, spot] = arguments;
        const [a, b] = [view.getBoundingClientRect(), spot.getBoundingClientRect()];
        const [x, y] = [(b.left + b.right) / 2, (b.top + b.bottom) / 2];
        return a.left <= x && x <= a.right && a.top <= y && y <= a.bottom;
    """
    stage = part(figure, "stage")
    seen = []

    for turn in (4, 3, 2):
        browser.press(Keys.ARROW_RIGHT)
        seen.append(browser.run(inside, stage, box(figure, turn)))

    assert not browser.run(inside, stage, box(figure, 4))
    assert seen == [True, True, True]


def test_deep_link_brings_its_box_into_sight(browser):
    browser.screen(height=300, reduced_motion="reduce")
    chain = [Box("operation", f"t{i}") for i in range(20)]
    edges = [Edge(i, i + 1, has_gradient=True) for i in range(19)]
    steps = [Step(i + 1, "1", (Share(i, "", "", ""),)) for i in reversed(range(19))]
    graph = Graph("", "op", tuple(chain), tuple(edges), (), 19, tuple(steps))
    ends = "return ['top', 'bottom'].map(x => arguments[0].getBoundingClientRect()[x])"
    [figure] = browser.open(to_page(graph), "#9")

    top, bottom = browser.run(ends, part(figure, "stage"))
    highest, lowest = browser.run(ends, box(figure, 11))

    assert top <= highest < lowest <= bottom


def test_pointing_at_a_box_tells_its_details(browser):
    [figure] = browser.open(to_page(GRAPH))
    details = part(figure, "details")
    before = details.text

    browser.actions().move_to_element(box(figure, 0)).perform()

    assert before == "Point at a box for its details."
    assert details.text == "w · parameter, () float64 · 3 · gradient 26"


def test_boxes_are_one_tab_stop_and_up_and_down_go_on(browser):
    [figure] = browser.open(to_page(GRAPH))
    stops = (
        "return [...document.querySelectorAll('svg [tabindex=\"0\"]')].map("
        "(x) => +x.dataset.box)"
    )
    before = browser.run(stops)

    browser.run("arguments[0].focus()", box(figure, 4))
    browser.press(Keys.ARROW_UP, Keys.ARROW_UP, Keys.ARROW_DOWN)

    assert (before, browser.run(stops)) == ([4], [3])
    assert part(figure, "details").text == "q = z² · square, () · 36 · gradient 1"
    assert place(figure) == 0


# -------------------------------------------------------- safety, paper, phones, needs


def test_text_from_users_does_not_run(browser):
    """In fragments: the policy of a whole page would keep it from running, too."""
    graphs = [labelled(text) for text in HOSTILE]
    parts = [to_fragment(graph, prefix=f"f{i}") for i, graph in enumerate(graphs)]
    figures = browser.open("".join(parts), "#f0-3")

    for i in range(1, len(figures)):
        browser.run(f"location.hash = 'f{i}-3'")

    assert [place(figure) for figure in figures] == [3] * len(HOSTILE)
    assert browser.run("return window.hacked") is None
    assert browser.run("return document.querySelectorAll('img, a').length") == 0
    for figure, text in zip(figures, HOSTILE, strict=True):
        shown = "".join(filter(str.isprintable, text))
        assert f"z{shown} = w" in part(figure, "caption").get_property("textContent")


def test_nothing_is_fetched(browser):
    [figure] = browser.open(to_page(GRAPH))

    browser.press(Keys.END)

    assert place(figure) == 3
    assert browser.run("return performance.getEntriesByType('resource').length") == 0


def test_all_is_there_to_read_without_scripts(browser):
    browser.command("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.driver.get(browser.write(to_page(GRAPH)))
        figure = browser.driver.find_element(By.CLASS_NAME, "tinygrad-edu-stepper")

        assert "live" not in figure.get_attribute("class")
        assert browser.run(SHOWN, figure) == WHOLE
        steps = figure.find_elements(By.CSS_SELECTOR, ".steps > li")
        assert [step.is_displayed() for step in steps] == [True] * 3
        assert not part(figure, "next").is_displayed()
    finally:
        browser.command("Emulation.setScriptExecutionDisabled", {"value": False})


def test_paper_shows_the_whole_picture_and_all_steps(browser):
    [figure] = browser.open(to_page(GRAPH), "#1")

    browser.run("dispatchEvent(new Event('beforeprint'))")
    browser.command("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        shown = browser.run(SHOWN, figure)
        steps = figure.find_elements(By.CSS_SELECTOR, ".steps > li")
        read = [step.is_displayed() for step in steps]
        pressed = part(figure, "next").is_displayed()
    finally:
        browser.command("Emulation.setEmulatedMedia", {"media": ""})

    names = ("edges", "rules", "bands", "partial")
    assert {name: shown[name] for name in names} == {n: WHOLE[n] for n in names}
    assert (read, pressed) == ([True] * 3, False)


@pytest.mark.parametrize(
    ("wish", "time"), [("no-preference", "0.2s"), ("reduce", "0s")]
)
def test_no_motion_for_those_who_want_none(browser, wish, time):
    browser.screen(reduced_motion=wish)

    [figure] = browser.open(to_page(GRAPH))

    line = figure.find_element(By.CSS_SELECTOR, "path.gradient")
    assert line.value_of_css_property("transition-duration") == time


@pytest.mark.parametrize(("scheme", "paper"), [("light", 255), ("dark", 23)])
def test_page_is_dark_for_those_who_want_it(browser, scheme, paper):
    browser.screen(color_scheme=scheme)

    [figure] = browser.open(to_page(GRAPH))

    colour = figure.value_of_css_property("background-color")
    assert colour.startswith(f"rgba({paper},")


@pytest.mark.parametrize("k", [0, 1])
def test_narrow_phone_does_not_scroll_sideways(browser, k):
    browser.screen(width=390, height=844)

    [figure] = browser.open(to_page(labelled("long" * 20)), f"#{k}")

    assert browser.run("return document.scrollingElement.scrollWidth") == 390
    assert part(figure, "next").rect["y"] > part(figure, "stage").rect["y"]
    assert part(figure, "next").is_displayed()
