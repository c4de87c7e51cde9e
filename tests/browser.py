"""A headless browser for the tests that look at pages, where one is installed."""

import json
import shutil
import subprocess

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome-headless-shell")
PATH = next(filter(None, map(shutil.which, _NAMES)), None)

needs_browser = pytest.mark.skipif(PATH is None, reason="no Chromium in PATH: pages are not looked at")


def run(address, folder, *options):
    """Open a page without any network, in a profile of its own; returns the page as it ends up."""
    command = [
        PATH, "--headless", "--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--user-data-dir={folder / 'profile'}", "--allow-file-access-from-files", "--virtual-time-budget=10000",
        *options, address,
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def measure(page, script, folder, *options, width=1200):
    """What `script`, the body of a function, returns in the page shown `width` CSS pixels wide."""
    looked_at = folder / "looked_at.html"
    report = f"addEventListener('load', () => parent.postMessage(JSON.stringify((() => {{{script}}})()), '*'))"
    looked_at.write_text(page.read_text(encoding="utf-8") + f"<script>{report}</script>", encoding="utf-8")
    frame = folder / "frame.html"
    frame.write_text(
        f"<iframe src='{looked_at.name}' style='width: {width}px; height: 900px; border: 0'></iframe><pre></pre>"
        "<script>onmessage = event => document.querySelector('pre').textContent = '@@' + event.data + '@@'</script>",
        encoding="utf-8",
    )
    shown = run(frame.as_uri(), folder, "--dump-dom", f"--window-size={max(width, 600)},1000", *options)
    text = shown.split("<pre>", 1)[1].split("@@")[1]
    return json.loads(text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
