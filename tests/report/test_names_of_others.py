"""Names of others in the files of a report: neither Markdown nor HTML."""

import re

import pytest

from lib.curves import View
from lib.report import write_report
from lib.sources import bundled_study, fetch
from tests.support.hostile import hostile_bundle


@pytest.mark.slow
def test_no_file_of_a_report_reads_names_of_others_as_markup(tmp_path):
    study = bundled_study(hostile_bundle(tmp_path))
    write_report(study, fetch(study), tmp_path / "out", View(), ("html",))
    claims = (tmp_path / "out" / "claims.md").read_text(encoding="utf-8")
    assert claims.startswith(r"# S !\[x\](http://evil.invalid/x.png) \$x\$ :red\[r\] :material/skull: \*e\* ")
    assert re.findall(r"(?<!\\)(?:[\[\]<`$*])", claims) == []
    pages = sorted((tmp_path / "out").glob("*.html"))
    assert [page.name for page in pages if "<b>b</b>" in page.read_text(encoding="utf-8")] == []
    assert len(pages) == 4
