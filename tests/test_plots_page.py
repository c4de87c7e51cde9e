"""The page of `dvc plots show`: it opens without a network, and draws all cells, then the cell on show."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from browser import measure, needs_browser

ROOT = Path(__file__).parent.parent
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page that dvc writes of this repository's plots."""
    folder = tmp_path_factory.mktemp("plots")
    for name in (".dvc/config", "dvc.yaml", "params.yaml"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    shutil.copytree(ROOT / ".dvc/plots", folder / ".dvc/plots")
    shutil.copytree(ROOT / "plots", folder / "plots", ignore=shutil.ignore_patterns("record", "*.svg", "*.png"))
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    subprocess.run([sys.executable, "-m", "dvc", "plots", "show", "--quiet"], cwd=folder, check=True)
    return folder / "dvc_plots/index.html"


def test_the_page_loads_nothing_and_says_whose_libraries_it_carries(page):
    text = page.read_text()
    without_code = re.sub(r"(<script[^>]*>).*?</script>", r"\1", text, flags=re.S)
    assert "<script>" in without_code
    assert not re.search(r"<link|\b(src|href)=", without_code)
    assert "University of Washington Interactive Data Lab" in text
    for library in ("vega 5.33.0", "vega-lite 5.2.0", "vega-embed 6.18.2"):
        assert f"/* {library} */" in text
    for stage in ("compare", "headline"):
        ((about,),) = (plot.values() for plot in STAGES[stage]["plots"])
        for study in PARAMS["studies"]:
            title = about["title"].replace("${item.study}", study).replace("${profile}", PARAMS["profile"])
            assert title in text


@needs_browser
def test_a_browser_without_a_network_draws_every_plot(page, tmp_path):
    script = """
        return [...document.querySelectorAll('canvas')].map(canvas => {
            const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
            const colours = new Set();
            for (let i = 0; i < pixels.length; i += 4)
                if (pixels[i + 3] == 255) colours.add([pixels[i], pixels[i + 1], pixels[i + 2]].join());
            return ['0,114,178', '213,94,0', '0,158,115'].filter(colour => colours.has(colour)).length;
        });
    """
    seen = measure(page, script, tmp_path)
    assert set(seen) == {1, 3}  # a line a cell: the one on show, or all
    assert seen.count(1) == seen.count(3) == len(PARAMS["studies"])
