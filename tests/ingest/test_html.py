import pytest

from firstfault.errors import InputError
from firstfault.ingest.html import read_html

PAGE = """<!DOCTYPE html><html><head><title>Guide — Site</title><script>var x = "no";</script></head>
<body><nav>Home | About</nav>
<main><h1>Install <a class="headerlink" href="#x">¶</a></h1>
<p>Run <code>pip install x</code> and
   read the <a href="https://example.org/docs">manual</a>.</p>
<pre><code class="py"><span>def f():</span>
    return <b>1</b>
</code></pre>
<ul><li>one<ul><li>inner</li></ul></li><li>two<p>more</p></li></ul>
<ol><li>first</li></ol>
<table><caption>Limits</caption><tr><th>name</th><th>value</th></tr><tr><td>a|b</td><td>1<br>2</td></tr></table>
<p hidden>secret</p><p style="display: none">gone</p>
<blockquote><p>Quoted.</p></blockquote>
</main><footer>Imprint</footer></body></html>"""

TEXT = """# Install

Run `pip install x` and read the manual.

```
def f():
    return 1
```

- one
  - inner
- two
  more

1. first

Limits

| name | value |
| --- | --- |
| a\\|b | 1 2 |

> Quoted."""


def test_the_content_is_kept_as_plain_markdown() -> None:
    extracted = read_html(PAGE.encode())
    assert extracted.text == TEXT
    assert extracted.title == "Guide — Site"


def test_without_a_main_element_the_body_is_read_and_navigation_is_not() -> None:
    extracted = read_html(b"<body><nav>menu</nav>loose <b>words</b><div>block</div>tail</body>")
    assert extracted.text == "loose words\n\nblock\n\ntail"


def test_a_layout_table_is_read_as_its_blocks() -> None:
    page = b"<table><tr><td><h2>Left</h2><p>text</p></td><td><ul><li>x</li></ul></td></tr></table>"
    assert read_html(page).text == "## Left\n\ntext\n\n- x"


def test_the_declared_encoding_is_used() -> None:
    page = '<meta charset="iso-8859-1"><p>café</p>'.encode("latin-1")
    assert read_html(page).text == "café"


def test_an_encoding_declaration_in_xml_is_no_obstacle() -> None:
    page = '<?xml version="1.0" encoding="utf-8"?><html><body><p>é</p></body></html>'.encode()
    assert read_html(page).text == "é"


def test_the_first_heading_is_the_title_where_there_is_no_title() -> None:
    assert read_html(b"<h2>Only</h2><p>x</p>").title == "Only"


def test_wrong_bytes_are_an_error() -> None:
    with pytest.raises(InputError, match="byte 3 is 0xE9"):
        read_html(b"<p>\xe9</p>")


def test_code_that_holds_a_fence_is_fenced_longer() -> None:
    assert read_html(b"<pre>```\nx\n```</pre>").text == "````\n```\nx\n```\n````"
