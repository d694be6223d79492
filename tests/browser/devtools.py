"""A page of a real headless Chromium, with real key presses, over the pipe of its DevTools protocol."""

import base64
import fcntl
import json
import os
import select
import subprocess
import time

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
"""What makes Chromium quiet and repeatable."""
ANSWER_S = 30
KEYS = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Enter": 13, "Escape": 27, "Tab": 9}


class Page:
    """One tab; `with Page(chromium, folder) as page`. Files that it downloads land in the folder."""

    def __init__(self, chromium, folder):
        # Above 20, so that giving them the numbers 3 and 4 below closes none of them.
        low = [end for pipe in (os.pipe(), os.pipe()) for end in pipe]
        to_browser, self.out, self.into, from_browser = [fcntl.fcntl(end, fcntl.F_DUPFD, 20) for end in low]
        for end in low:
            os.close(end)

        def three_and_four():
            os.dup2(to_browser, 3)
            os.dup2(from_browser, 4)

        self.process = subprocess.Popen(
            [chromium, *FLAGS, "--remote-debugging-pipe", f"--user-data-dir={folder / 'profile'}"],
            pass_fds=(3, 4),
            preexec_fn=three_and_four,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        self.buffer, self.number, self.session = b"", 0, None
        self.said = []  # events: console messages, requests
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        self.downloads = folder / "downloads"
        self.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(self.downloads))

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.kill()
        self.process.wait()
        os.close(self.out)
        os.close(self.into)

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session and not method.startswith(("Target.", "Browser.")):
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        while True:
            found = self._receive()
            if found.get("id") == self.number:
                assert "error" not in found, found
                return found["result"]
            self.said.append(found)

    def _receive(self):
        while b"\0" not in self.buffer:
            waiting = select.poll()  # select.select knows no descriptor above 1,023
            waiting.register(self.into, select.POLLIN)
            assert waiting.poll(1000 * ANSWER_S), "chromium does not answer"
            part = os.read(self.into, 1 << 20)
            assert part, "chromium has ended"
            self.buffer += part
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def open(self, path, *, width=1280, height=900, dark=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url=f"file://{path}")
        self.wait_for("document.readyState === 'complete'")

    def run(self, expression):
        """Value of a JavaScript expression."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def wait_for(self, expression, timeout_s=30):
        end = time.monotonic() + timeout_s
        while not self.run(expression):
            assert time.monotonic() < end, f"never true: {expression}"
            time.sleep(0.02)

    def type(self, text):
        self.call("Input.insertText", text=text)

    def press(self, key):
        """A key goes down and up, as on a keyboard."""
        about = {"key": key, "code": key if len(key) > 1 else f"Key{key.upper()}"}
        about["windowsVirtualKeyCode"] = KEYS.get(key) or ord(key.upper())
        text = {"text": "\r" if key == "Enter" else key} if len(key) == 1 or key == "Enter" else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", **about, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", **about)

    def shot(self, path):
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def downloaded(self, timeout_s=10, kind="csv"):
        """The one file of a kind that the page saved."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            found = list(self.downloads.glob(f"*.{kind}")) if self.downloads.exists() else []
            if found:
                return found[0]
            time.sleep(0.05)
        raise AssertionError("nothing was downloaded")

    def requests(self):
        """Addresses that were asked for, images inside the page left out."""
        self.run("0")
        sent = [
            one["params"]["request"]["url"] for one in self.said if one.get("method") == "Network.requestWillBeSent"
        ]
        return [url for url in sent if not url.startswith("data:")]

    def complaints(self):
        """Console errors and exceptions."""
        self.run("0")
        return [
            one["params"] for one in self.said if one.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded")
        ]
