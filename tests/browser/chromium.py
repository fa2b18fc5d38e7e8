"""A real headless Chromium, driven over WebDriver: what it shows, says on its console, and asks the network for."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
"""Both are Debian packages: chromium and chromium-driver."""

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)


class Node(msgspec.Struct, frozen=True):
    """A node of the accessibility tree."""

    role: str
    name: str
    ignored: bool


class Chromium:
    """One browser with one tab."""

    def __init__(self, profile: Path) -> None:
        options = ChromeOptions()
        options.binary_location = BROWSER or ""
        for flag in (*_FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = Chrome(options=options, service=Service(DRIVER))

    def close(self) -> None:
        """End the browser."""
        self.driver.quit()

    def open(self, page: Path, *, width: int = 1280, height: int = 900, dark: bool = False, script: bool = True) -> None:
        """Open a file at a size; what was logged before is forgotten."""
        self._tell("Emulation.setScriptExecutionDisabled", value=not script)
        phone = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self._tell("Emulation.setDeviceMetricsOverride", **phone)
        self.media("", dark=dark)
        self._log("browser")
        self._log("performance")
        self.driver.get(page.as_uri())

    def media(self, kind: str, *, dark: bool = False) -> None:
        """Show the page as a medium (``print``) would have it, or again as a screen (empty)."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._tell("Emulation.setEmulatedMedia", media=kind, features=[scheme])

    def accessible(self) -> list[Node]:
        """The page as assistive technology is told it."""
        nodes = self._tell("Accessibility.getFullAXTree")["nodes"]
        return [Node(_value(node, "role"), _value(node, "name"), node["ignored"]) for node in nodes]

    def errors(self) -> list[str]:
        """What the console said since the page was opened."""
        return [entry["message"] for entry in self._log("browser")]

    def requests(self) -> list[str]:
        """The addresses that were asked for since the page was opened."""
        said = [json.loads(entry["message"])["message"] for entry in self._log("performance")]
        return [told["params"]["request"]["url"] for told in said if told["method"] == "Network.requestWillBeSent"]

    def all(self, selector: str) -> list[WebElement]:
        """Every element of a CSS selector."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector: str) -> WebElement:
        """The first element of a CSS selector."""
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def ask(self, expression: str) -> Any:
        """Evaluate an expression in the page, past its own policy."""
        told = self._tell("Runtime.evaluate", expression=expression, returnByValue=True)
        return told["result"].get("value")

    def visible(self, selector: str) -> int:
        """How many elements of a selector are shown."""
        quoted = json.dumps(selector)
        return int(self.ask(f"[...document.querySelectorAll({quoted})].filter(e => e.checkVisibility()).length"))

    def pdf(self) -> bytes:
        """Print the page."""
        return base64.b64decode(self._tell("Page.printToPDF", printBackground=True)["data"])

    def _log(self, kind: str) -> list[Any]:
        """Take what was logged since it was last asked for."""
        entries: list[Any] = self.driver.execute("getLog", {"type": kind})["value"]
        return entries

    def _tell(self, command: str, **parameters: Any) -> Any:
        return self.driver.execute_cdp_cmd(command, parameters)


def _value(node: Any, key: str) -> str:
    return str(node.get(key, {}).get("value", ""))
