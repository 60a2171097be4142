"""The page in a real browser: what it shows, does, and leaves alone. Skipped where there is no Chromium."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("selenium")
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not CHROMIUM or not DRIVER, reason="there is no Chromium with its driver")

PATIENCE_SECONDS = 60
SWITCHES = (
    "--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--no-default-browser-check",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-proxy-server",
)  # fmt: skip
FEDERATED = """
scenario: A federated domain
why: Its farm is shown.
rules: [delta.within-minutes]
given:
  users:
    - {name: alice, password: "Winter-2016!"}
  cloud: {domains: {contoso.example: federated}}
timeline:
  - {at: +2m, expect: {agent.alert: {is: none}}}
"""
HOSTILE = (
    '<script>document.title="broken"</script>', "<img src=x onerror=\"document.title='broken'\">", "كارول الشتاء",
    "x" * 240, "{{7*7}} ${7*7} &lt;b&gt; \u202e gnp.exe",
)  # fmt: skip
CONTRAST = (Path(__file__).parent / "contrast.js").read_text(encoding="utf-8")
NAMELESS = (Path(__file__).parent / "nameless.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def chromium() -> Iterator[webdriver.Chrome]:
    """A browser that takes any certificate and logs what it does."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    options.accept_insecure_certs = True
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    for switch in SWITCHES:
        options.add_argument(switch)
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # it will not run as root otherwise
    browser = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield browser
    browser.quit()


class Page:
    """The page of a served world, open in a browser."""

    def __init__(self, browser: webdriver.Chrome, served: Any) -> None:
        self.browser, self.served = browser, served
        self.url = f"https://localhost:{served.served.https.port}/"
        browser.get_log("browser")
        browser.get_log("performance")
        self.media(dark=False, width=1280)
        browser.get(self.url)
        self.until(lambda: self.find("#rows tr") is not None)

    def media(self, *, dark: bool, width: int) -> None:
        feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def find(self, selector: str) -> WebElement | None:
        found = self.browser.find_elements(By.CSS_SELECTOR, selector)
        return found[0] if found else None

    def get(self, selector: str) -> WebElement:
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        """The text there now; the page may draw it anew meanwhile, so the browser itself is asked."""
        told: str = self.browser.execute_script(
            "return document.querySelector(arguments[0])?.innerText ?? ''", selector
        )
        return told

    def until(self, holds: Callable[[], object]) -> None:
        WebDriverWait(self.browser, PATIENCE_SECONDS, 0.05).until(lambda browser: holds())

    def until_text(self, selector: str, *parts: str) -> None:
        self.until(lambda: all(part in self.text(selector) for part in parts))

    def click(self, selector: str) -> None:
        self.browser.execute_script("document.querySelector(arguments[0]).click()", selector)

    def type(self, selector: str, text: str) -> None:
        self.get(selector).send_keys(Keys.CONTROL + "a", Keys.NULL, text or Keys.BACKSPACE)

    def person(self, name: str) -> str:
        """The row of a person as it is read."""
        script = """
            const rows = [...document.querySelectorAll("#rows tr")];
            return rows.find((row) => row.querySelector("bdi.cell-2")?.textContent === arguments[0])?.innerText ?? "";
        """
        told: str = self.browser.execute_script(script, name)
        return told

    def fits(self) -> bool:
        """Whether nothing is cut off sideways."""
        script = "const page = document.documentElement; return page.scrollWidth <= page.clientWidth"
        return bool(self.browser.execute_script(script))

    def complaints(self) -> list[str]:
        """What the console has, but for answers that refuse something."""
        return [each["message"] for each in self.browser.get_log("browser") if "status of 409" not in each["message"]]

    def requested(self) -> list[str]:
        """The addresses that the page asked."""
        messages = [json.loads(each["message"])["message"] for each in self.browser.get_log("performance")]
        urls = [each["params"]["request"]["url"] for each in messages if each["method"] == "Network.requestWillBeSent"]
        return [url for url in urls if not url.startswith(("chrome:", "about:", "data:"))]


@pytest.fixture
def page_of(chromium: webdriver.Chrome, served_with: Callable[..., Any]) -> Iterator[Callable[..., Page]]:
    """Opens pages. Afterwards, with their worlds still there, the console is empty, and nobody else was asked."""
    made: list[Page] = []

    def make(served: Any) -> Page:
        made.append(Page(chromium, served))
        return made[-1]

    yield make
    for page in made:
        assert page.complaints() == []
        assert [url for url in page.requested() if not url.startswith(page.url)] == []
    chromium.get("about:blank")


@pytest.fixture
def hosted(served_with: Callable[..., Any]) -> Any:
    """A served world with an agent within; everything is in sync, and time stands still."""
    served = served_with(hosted=True)
    served.post("/time", {"advance": "2m"})
    return served


@pytest.fixture
def page(page_of: Callable[..., Page], hosted: Any) -> Page:
    """The page of that world."""
    return page_of(hosted)


class TestShowing:
    def test_what_there_is(self, page: Page) -> None:
        """People stand there with both sides, and how their passwords stand; the agent, its cycles and its events."""
        assert page.browser.title == "pwsync world"
        assert "contoso.example" in page.text("#where")
        assert page.text("#now") == "2017-01-13 09:02:00"
        assert page.text("#pace") == "time stands still"
        assert ["password #1" in page.person("alice"), "agrees" in page.person("alice")] == [True, True]
        assert "disabled" in page.person("carol")
        assert "running" in page.text("#facts")
        assert "09:04:00" in page.text("#facts")
        assert "object" in page.text("#cycles")
        assert "656" in page.text("#events")
        assert "dc2" in page.text("#links")

    def test_changes_appear(self, page: Page, hosted: Any) -> None:
        """A password that is changed elsewhere is pending on the page; the clock's button brings it to the cloud."""
        hosted.post("/actions", {"ad.change-password": {"user": "alice", "password": "Spring-2017!"}})
        page.until(lambda: "pending" in page.person("alice") and "password #2" in page.person("alice"))
        page.click('[data-advance="2m"]')
        page.until(lambda: "agrees" in page.person("alice"))
        assert page.text("#now") == "2017-01-13 09:04:00"
        assert page.person("alice").count("password #2") == 2
        hosted.post("/actions", {"cloud.reset-password": {"user": "alice", "password": "Summer-2017!"}})
        page.until(lambda: "overridden" in page.person("alice") and "reset by admin" in page.person("alice"))

    def test_names_are_texts(self, page_of: Callable[..., Page], served: Any) -> None:
        """Names of any kind are shown as they are: markup does nothing, and long ones do not push others aside."""
        for number, name in enumerate(HOSTILE):
            served.post("/actions", {"ad.create-user": {"user": f"u{number}", "password": "Winter-2017!"}})
            served.post("/actions", {"ad.set-user": {"user": f"u{number}", "display-name": name}})
        served.post("/snapshots", {"take": HOSTILE[1][:60]})
        page = page_of(served)
        page.until(lambda: page.person("u4"))
        shown = page.browser.execute_script(
            "return [...document.querySelectorAll('.name')].map((each) => each.textContent)"
        )
        assert shown[-len(HOSTILE) :] == list(HOSTILE)
        assert HOSTILE[1][:60] in page.text("#snapshots")
        assert page.browser.title == "pwsync world"
        assert page.browser.execute_script("return document.querySelectorAll('main img, main script').length") == 0
        for width in (1280, 420):
            page.media(dark=False, width=width)
            assert page.fits()

    def test_ten_thousand_people(self, page_of: Callable[..., Page], served_with: Callable[..., Any]) -> None:
        """Of ten thousand people the page has a few rows; one leafs through them, searches, and picks by standing."""
        page = page_of(served_with(users=10_000))
        assert page.text("#range") == "1–50 of 10,003 people"
        page.click("#further")
        page.until_text("#range", "51–100 of")
        page.type("#search", "ALICE")
        page.until(lambda: "of 10,003 people" in page.text("#range") and page.text("#range").startswith("1–"))
        page.until(lambda: page.person("alice"))
        page.type("#search", "nobody of that name")
        page.until_text("#rows", "Nobody fits")
        page.type("#search", "")
        page.click('#standings [data-key="agree"]')
        page.until_text("#range", "0 of 10,003 people")
        page.click('#standings [data-key="no-cloud-user"]')
        page.until_text("#range", "1–50 of 10,003")

    def test_farm(self, page_of: Callable[..., Page], served_with: Callable[..., Any]) -> None:
        """A farm is shown where a domain is federated, and can be stopped."""
        page = page_of(served_with(FEDERATED, hosted=True))
        assert "adfs.contoso.example" in page.text("#links")
        page.click('[data-key="service adfs.contoso.example"]')
        page.until(lambda: page.text('[data-key="service adfs.contoso.example"]') == "Start")
        assert [farm.up for farm in page.served.world.farms.by_host.values()] == [False]


class TestDoing:
    def test_faults(self, page: Page, hosted: Any) -> None:
        """A fault that is injected fires, the cycle fails, its events can be picked out; then it is removed."""
        Select(page.get("#fault-on")).select_by_value("cloud.set-passwords")
        Select(page.get("#fault-does")).select_by_visible_text("answers 500")
        page.click("#fault button")
        page.until_text("#faults", "cloud.set-passwords", "answer 500", "times 1")
        hosted.post("/actions", {"ad.change-password": {"user": "bob", "password": "Spring-2017!"}})
        page.click('[data-advance="2m"]')
        page.until_text("#faults", "fired 1")
        page.until_text("#cycles", "failed", "HTTP 500")
        page.click('#levels [data-key="error"]')
        page.until(lambda: "information" not in page.text("#events") and "652" in page.text("#events"))
        page.click('#levels [data-key="error"]')
        page.type("#event-id", "656")
        page.until(lambda: "Change Request" in page.text("#events") and "652" not in page.text("#events"))
        page.click("#clear-faults")
        page.until_text("#faults", "No faults")

    def test_effects_fit_their_wire(self, page: Page, hosted: Any) -> None:
        """Whatever the form offers for a wire is a rule that the world takes."""
        offered = 0
        for wire in [option.get_attribute("value") or "" for option in Select(page.get("#fault-on")).options]:
            Select(page.get("#fault-on")).select_by_value(wire)
            for option in Select(page.get("#fault-does")).options:
                hosted.post("/faults", {"on": wire} | json.loads(option.get_attribute("value") or ""))
                offered += 1
        assert offered > 60

    def test_snapshots(self, page: Page, hosted: Any) -> None:
        """A snapshot is taken, the world moves on, and goes back; one whose name is taken is refused and said so."""
        page.type("#snapshot-name", "before")
        page.get("#snapshot-name").send_keys(Keys.ENTER)
        page.until_text("#snapshots", "before", "09:02:00")
        hosted.post("/actions", {"ad.change-password": {"user": "alice", "password": "Spring-2017!"}})
        page.click('[data-advance="1d"]')
        page.until(lambda: page.text("#now") == "2017-01-14 09:02:00" and "password #2" in page.person("alice"))
        page.click('[data-key="restore before"]')
        page.until(lambda: page.text("#now") == "2017-01-13 09:02:00" and "password #2" not in page.person("alice"))
        assert "as it was" in page.text("#told")
        page.type("#snapshot-name", "before")
        page.click("#snapshot button")
        page.until_text("#told", "already")
        page.click('[data-key="drop before"]')
        page.until_text("#snapshots", "None taken")

    def test_agent_elsewhere(self, page_of: Callable[..., Page], served: Any) -> None:
        """Where an agent of another process stands in the way of going back, the page says so and can insist."""
        page = page_of(served)
        served.post("/snapshots", {"take": "start"})
        served.get("/time", until="2017-01-13T09:00:00Z")
        served.post("/time", {"advance": "1h"})
        page.until_text("#facts", "another process")
        page.until(lambda: page.find('[data-key="restore start"]'))
        page.click('[data-key="restore start"]')
        page.until_text("#told", "store does not go back")
        assert page.text("#now") == "2017-01-13 10:00:00"
        page.click("#told button")
        page.until(lambda: page.text("#now") == "2017-01-13 09:00:00")

    def test_links_and_controllers(self, page: Page, hosted: Any) -> None:
        """Links are cut and mended, controllers stopped and started, and who has the focus keeps it."""
        button = '[data-key="link cloud"]'
        page.get(button).send_keys(Keys.ENTER)
        page.until(lambda: page.text(button) == "Mend")
        assert hosted.world.network.down == {"cloud"}
        assert page.browser.switch_to.active_element.text == "Mend"
        page.browser.switch_to.active_element.send_keys(Keys.ENTER)
        page.until(lambda: page.text(button) == "Cut")
        page.click('[data-key="controller dc2.contoso.example"]')
        page.until(lambda: page.text('[data-key="controller dc2.contoso.example"]') == "Start")

    def test_actions(self, page: Page) -> None:
        """An action is done as a scenario has it; one that is refused or misspelt is told, with what is known."""
        page.type("#do-text", 'ad.reset-password: {user: bob, password: "Spring-2017!"}')
        page.click("#do button")
        page.until_text("#told", "bob#2")
        page.until(lambda: "password #2" in page.person("bob"))
        page.type("#do-text", "ad.unlok: {user: bob}")
        page.browser.get_log("browser")
        page.click("#do button")
        page.until_text("#told", 'unknown action "ad.unlok"', "ad.unlock")
        page.browser.get_log("browser")  # the browser complains of a 400 itself


class TestTime:
    def test_runs_and_stands(self, page: Page, hosted: Any) -> None:
        """Time is let run, made faster and slower, and stopped; the clock on the page goes with it."""
        page.click("#run")
        page.until_text("#pace", "time runs")
        page.click("#faster")
        page.until_text("#pace", "10 times")
        page.click("#faster")
        page.until_text("#pace", "60 times")
        page.until(lambda: page.text("#now") > "2017-01-13 09:02:10")
        page.click("#slower")
        page.until_text("#pace", "10 times")
        page.click("#run")
        page.until_text("#pace", "stands still")
        page.until(lambda: page.text("#now") == hosted.get("/time")["now"][:19].replace("T", " "))
        page.click("#run")
        page.until_text("#pace", "10 times")

    def test_end_of_the_world(self, page_of: Callable[..., Page], served: Any) -> None:
        """A world that has gone is said to have gone."""
        page = page_of(served)
        served.served.time.stop()
        served.served.https.close()
        page.until_text("#told", "does not answer")
        page.browser.get("about:blank")
        page.browser.get_log("browser")


class TestUsability:
    def test_keyboard(self, page: Page) -> None:
        """Keys move the clock and find the search; everything is reached by Tab, from the skip link on."""
        body = page.get("body")
        body.send_keys(".")
        page.until(lambda: page.text("#now") == "2017-01-13 09:04:00")
        body.send_keys("/")
        assert page.browser.switch_to.active_element.get_attribute("id") == "search"
        page.browser.switch_to.active_element.send_keys("./p")
        page.until_text("#rows", "Nobody fits")
        assert page.text("#now") == "2017-01-13 09:04:00"
        page.browser.get(page.url)
        page.until(lambda: page.person("alice"))
        reached = []
        for _ in range(40):
            page.browser.switch_to.active_element.send_keys(Keys.TAB)
            found = page.browser.switch_to.active_element
            reached.append(found.get_attribute("id") or found.get_attribute("data-key") or found.text)
        wanted = {
            "Skip to the people", "run", "+2 min", "agree", "search", "error", "event-id", "link cloud", "fault-on",
            "snapshot-name", "do-text",
        }  # fmt: skip
        assert wanted - set(reached) == set()

    @pytest.mark.parametrize("dark", [False, True])
    @pytest.mark.parametrize("width", [1280, 420])
    def test_readable(self, page: Page, hosted: Any, dark: bool, width: int) -> None:
        """In light and dark, wide and narrow: contrast is enough, all has a name, and nothing is cut off sideways."""
        hosted.post("/faults", {"on": "cloud.set-passwords", "answer": 503})
        hosted.post("/actions", {"ad.change-password": {"user": "bob", "password": "Spring-2017!"}})
        hosted.post("/actions", {"cloud.reset-password": {"user": "alice", "password": "Summer-2017!"}})
        hosted.post("/actions", {"network.set-link": {"link": "cloud", "state": "down"}})
        hosted.post("/snapshots", {"take": "now"})
        page.media(dark=dark, width=width)
        page.click('[data-advance="2m"]')
        page.until_text("#cycles", "failed")
        assert page.browser.execute_script(CONTRAST) == []
        assert page.browser.execute_script(NAMELESS) == []
        assert page.fits()
