import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

import analysis
from analysis.errors import ResultsError
from analysis.sections import SECTIONS, provenance

ARMS = ("bernoulli", "qcbm")
OPTIONAL = {"confirm", "single", "qpu", "prior", "gains", "downstream"}  # only where the study has such trials
VOID = {"meta", "link", "img", "br", "path", "use"}


class Page(HTMLParser):
    """The ids, text, references and balance of a page."""

    def __init__(self, html):
        super().__init__()
        self.ids, self.links, self.images, self.texts, self.open = [], [], [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag not in VOID:
            self.open.append(tag)
        if "id" in values:
            self.ids.append(values["id"])
        if tag == "img":
            self.images.append(values)
        self.links += [values[name] for name in ("src", "href", "xlink:href") if name in values]

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split()).replace("\u00a0", " ")


def report(folder, tmp_path, now=None):
    html = analysis.write_report(analysis.load(folder, now=now), tmp_path / "report.html").read_text()
    return html, Page(html)


@pytest.fixture(scope="module")
def finished(finished_study, tmp_path_factory):
    """The folder, report file, HTML and page of a finished study, written once for this module."""
    folder = tmp_path_factory.mktemp("finished")
    path = analysis.write_report(analysis.load(finished_study), folder / "report.html")
    return path, path.read_text(), Page(path.read_text())


def test_report_is_complete_and_self_contained(finished):
    _, html, page = finished
    assert not page.open
    drawn = re.compile("([mp]|image)[0-9a-f]{10}")  # ids within figures
    sections = [each.name for each in SECTIONS if each.name not in OPTIONAL]
    assert [name for name in page.ids if not drawn.fullmatch(name)] == ["answer", *sections]
    assert "qcbm beats bernoulli: relative improvement +" in page.text
    assert all(link.startswith(("#", "data:")) for link in page.links)
    assert not re.search(r"url\((?!#)|@import|<script[^>]", html)
    assert len(page.images) == 2 and all(each["alt"] and "base64" in each["src"] for each in page.images)
    assert html.count("<svg") == 7
    assert "study: <demo> & co" in page.text
    assert len(html) < 2_000_000


def test_references_inside_the_page_exist(finished):
    _, html, page = finished
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert set(re.findall(r"url\(#([^)]+)\)", html)) <= set(page.ids)


def test_report_replaces_an_older_one_and_is_alone_in_its_folder(finished, finished_study):
    path, html, _ = finished
    analysis.write_report(analysis.load(finished_study), path)
    assert [each.name for each in path.parent.iterdir()] == ["report.html"]
    assert path.read_text() == html, "the same results give the same bytes"


def test_a_trial_that_went_on_under_another_revision_is_told(written):
    study = written()
    first = analysis.load(study).plan.trials[0].key
    path = study / "trials" / first / "trial.json"
    record = json.loads(path.read_text())
    last = record["attempts"][0]
    record["attempts"] = [{**last, "git": None}, {**last, "git": {"revision": "b" * 40, "dirty": False}}]
    path.write_text(json.dumps(record))
    told = provenance.warnings(analysis.load(study))
    assert any("different revisions" in each and "by a copy without its repository and then b" in each for each in told)


def test_failures_and_provenance_are_named(written, tmp_path):
    statuses = {("qcbm", 0, 1): ("failed", 25), ("qcbm", 1, 2): ("running", 30)}
    study = written(statuses=statuses, revisions=("aaaaaaaaaaaa1", "bbbbbbbbbbbb2"))
    damaged = analysis.load(study).plan.trials[0].key
    (study / "trials" / damaged / "trial.json").write_text("{")
    _, page = report(study, tmp_path, datetime(2026, 1, 1, 1, 31, tzinfo=UTC))  # a minute after the last word
    for words in (
        "CUDA out of memory <12 GiB>",
        "boom",
        "study trial study.yaml",
        "trial.json: damaged",
        "Trials were made by different revisions of this program: ",
        "aaaaaaaaaaaa",
        "torch 2.11.0",
        "NVIDIA H100",
        "9 of 12 trials done, 1 failed, 1 damaged, 1 running",
    ):
        assert words in page.text, words


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"improvements": {"bernoulli": 0}}, "No comparison"),
        ({"statuses": {(a, c, r): ("pending", 0) for a in ("bernoulli", "qcbm") for c in (0, 1) for r in range(3)}},
         "No trial of this cell has written images yet"),
        ({"replicates": {"bernoulli": [0], "qcbm": [0]}, "cells": [{"latent_dim": 8}]}, "One pair says little"),
        ({"replicates": {"bernoulli": []}}, "No cell has both the baseline and another arm"),
        ({"cells": []}, "0 of 0 trials done"),
        ({"noise": float("nan")}, "with an MMD that cannot be logged, the first nan at epoch 1"),
        ({"every": 100}, "no epoch of its final window was scored"),
        ({"images": False}, "No trial of this cell has written images yet"),
        ({"statuses": {("qcbm", 0, each): ("running", 10) for each in range(3)}}, "epoch 1, images 0 to 2"),
    ],
)  # fmt: skip
def test_report_is_made_when_something_cannot_be_said(written, tmp_path, settings, words):
    assert words in report(written(**settings), tmp_path)[1].text


def test_what_was_declared_beforehand_is_told(written, tmp_path):
    study = written(threshold=0.12, confirm={"fresh_from": 2, "cells": 1}, replicates={a: range(4) for a in ARMS})
    page = Page(analysis.write_report(analysis.load(study), tmp_path / "report.html").read_text())
    assert "qcbm trains faster than bernoulli in epochs to an MMD of 0.12" in page.text
    assert "confirm" in page.ids and "replicates below 2 choose the best cell of every arm" in page.text
    (row,) = analysis.confirmed(analysis.load(study)).to_dict("records")
    assert f"{row['pairs']} of {row['planned']}" == "2 of 2" and row["cell"] in page.text


def test_empty_folder_is_one_sentence_and_leaves_nothing(tmp_path):
    with pytest.raises(ResultsError, match=r"no plan\.json"):
        analysis.write_report(analysis.load(tmp_path), tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []
