"""`make docs`: the documents as a site of files that asks no other host."""

import os
import re
import subprocess
import sys

from django.conf import settings


def test_the_site_is_built_without_a_dangling_link_and_asks_no_other_host(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    built = subprocess.run(
        command,
        cwd=settings.BASE_DIR,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    pages = {path.name: path.read_text() for path in tmp_path.glob("*.html")}
    assert pages.keys() >= {"index.html", *(f"{path.stem}.html" for path in (settings.BASE_DIR / "docs").glob("*.md"))}
    for name, text in pages.items():
        loaded = re.findall(r'<(?:script|img|source)[^>]*?(?:src|srcset)="([^"]*)"', text)
        loaded += re.findall(r'<link[^>]*rel="(?:stylesheet|preload|icon|preconnect)"[^>]*href="([^"]*)"', text)
        loaded += re.findall(r'<link[^>]*href="([^"]*)"[^>]*rel="(?:stylesheet|preload|icon|preconnect)"', text)
        assert loaded, name
        assert not [address for address in loaded if re.match(r"https?:|//", address)], name
        lost = [address for address in loaded if not (tmp_path / address.partition("?")[0].lstrip("/")).exists()]
        assert lost == [], name
