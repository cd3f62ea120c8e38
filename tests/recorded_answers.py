"""Answers as models write them, one a dialect, of the same made-up page as far as the dialect can say it."""

from __future__ import annotations

import re

DOCTAGS = (
    "<doctag><page_header><loc_60><loc_20><loc_240><loc_30>Annual Report</page_header>\n"
    "<title><loc_60><loc_50><loc_400><loc_70>Water & Wine < 2</title>\n"
    "<section_header_level_1><loc_60><loc_80><loc_300><loc_92>1. Results</section_header_level_1>\n"
    "<text><loc_60><loc_100><loc_440><loc_160>The pH was < 7 in all of the wells.</text>\n"
    "<unordered_list><list_item><loc_60><loc_165><loc_440><loc_172>north well</list_item>\n"
    "<list_item><loc_60><loc_175><loc_440><loc_182>· south well</list_item></unordered_list>\n"
    "<ordered_list><list_item><loc_60><loc_185><loc_440><loc_190>sample</list_item>\n"
    "<list_item><loc_60><loc_191><loc_440><loc_196>weigh</list_item></ordered_list>\n"
    "<otsl><loc_60><loc_200><loc_440><loc_280><caption><loc_60><loc_190><loc_440><loc_199>Table 1: Wells</caption>"
    "<ched>Well<ched>Depth<lcel><nl><ucel><ched>from<ched>to<nl><fcel>north<fcel>3<fcel>9<nl>"
    "<fcel>south<ecel><fcel>12<nl></otsl>\n"
    "<formula><loc_100><loc_290><loc_400><loc_310>a = \\frac { b } { c }</formula>\n"
    "<code><loc_60><loc_320><loc_440><loc_350><_Python_>for x in y:\n    print(x)</code>\n"
    "<picture><loc_60><loc_360><loc_440><loc_450><bar_chart><caption><loc_60><loc_452><loc_440><loc_460>"
    "Figure 1: Rain</caption></picture>\n"
    "<footnote><loc_60><loc_465><loc_440><loc_472>* estimated</footnote>\n"
    "<page_footer><loc_240><loc_480><loc_260><loc_490>12</page_footer></doctag><|end_of_text|>"
)

OLMOCR = """---
primary_language: en
is_rotation_valid: True
rotation_correction: 0
is_table: False
is_diagram: False
---
# Water & Wine

The pH was \\(< 7\\) in all of the wells.

- north well
- south well

<table><thead><tr><th>Well</th><th colspan="2">Depth</th></tr></thead>
<tr><td>north</td><td>3</td><td>9</td></tr></table>

$$
a = \\frac{b}{c}
$$

![Rain by month](page_120_700_800_200.png)

Last words."""

DEEPSEEK = (
    "<|ref|>title<|/ref|><|det|>[[120, 100, 800, 140]]<|/det|>\n# Water & Wine\n\n"
    "<|ref|>sub_title<|/ref|><|det|>[[120, 160, 600, 184]]<|/det|>\n## 1. Results\n\n"
    "<|ref|>text<|/ref|><|det|>[[120, 200, 880, 320]]<|/det|>\nThe pH was \\(< 7\\) in all of the wells.\n\n"
    "<|ref|>table_caption<|/ref|><|det|>[[120, 380, 880, 398]]<|/det|>\nTable 1: Wells\n\n"
    "<|ref|>table<|/ref|><|det|>[[120, 400, 880, 560]]<|/det|>\n\n"
    '<table><tr><td>Well</td><td colspan="2">Depth</td></tr><tr><td>north</td><td>3</td><td>9</td></tr></table>\n\n'
    "<|ref|>equation<|/ref|><|det|>[[200, 580, 800, 620]]<|/det|>\n\\[a = \\frac{b}{c}\\]\n\n"
    "<|ref|>image<|/ref|><|det|>[[120, 720, 880, 900]]<|/det|>\n\n"
    "<|ref|>image_caption<|/ref|><|det|>[[120, 904, 880, 920]]<|/det|>\n<center>Figure 1: Rain</center> \n"
    "<｜end▁of▁sentence｜>"
)

NANONETS = """<header>Annual Report</header>

# Water & Wine

The pH was $< 7$ in all of the wells.

☑ sampled
☐ weighed

<table>
  <tr><td>Well</td><td>Depth</td></tr>
  <tr><td>north</td><td>3 <img>a drop</img></td></tr>
</table>

$$
a = \\frac{b}{c}
$$

<img>A bar chart
of rain by month</img>

Signed <signature>Ada L.</signature>

<watermark>OFFICIAL COPY</watermark>
<page_number>9/22</page_number>"""

MARKDOWN = """```markdown
# Water & Wine

The pH was $< 7$ in all of the wells.

- north well
- south well

| Well | Depth |
|---|---|
| north | 3 |

$$
a = \\frac{b}{c}
$$
```"""

HTML = (
    '<div data-bbox="120 40 480 60" data-label="Page-Header">Annual Report</div>\n'
    '<div data-bbox="[120, 100, 800, 140]" data-label="Section-Header"><h1>Water &amp; Wine</h1></div>\n'
    '<div data-bbox="120 200 880 320" data-label="Text"><p>The pH was <math>&lt; 7</math> in <b>all</b> of the '
    "wells.</p><p>Second<br>line.</p></div>\n"
    '<div data-bbox="120 330 880 370" data-label="List-Group"><ul><li>north well</li><li><input type="checkbox" '
    "checked/> south well<ol><li>weigh</li></ol></li></ul></div>\n"
    '<div data-bbox="120 400 880 560" data-label="Table"><table border="1"><caption>Table 1: Wells</caption><thead><tr>'
    '<th rowspan="2">Well</th><th colspan="2">Depth</th></tr><tr><th>from</th><th>to</th></tr></thead><tbody><tr>'
    "<td>north</td><td>3</td><td>9</td></tr></tbody></table></div>\n"
    '<div data-bbox="200 580 800 620" data-label="Equation-Block"><math display="block">a = \\frac{b}{c}</math></div>\n'
    '<div data-bbox="120 630 880 700" data-label="Code-Block"><pre><code>for x in y:\n    print(x)</code></pre></div>\n'
    '<div data-bbox="120 720 880 900" data-label="Figure"><img alt="Rain by month"/></div>\n'
    '<div data-bbox="120 904 880 920" data-label="Caption"><p>Figure 1: Rain</p></div>\n'
    '<div data-bbox="120 930 880 940" data-label="Image"></div>\n'
    '<div data-bbox="480 960 520 980" data-label="Page-Footer">12</div>'
)

DOTS = (
    '[{"bbox": [120, 40, 480, 60], "category": "Page-header", "text": "Annual Report"}, '
    '{"bbox": [120, 100, 800, 140], "category": "Title", "text": "# Water & Wine"}, '
    '{"bbox": [120, 160, 600, 184], "category": "Section-header", "text": "## 1. Results"}, '
    '{"bbox": [120, 200, 880, 320], "category": "Text", "text": "The pH was $< 7$ in all\\nof the \\"wells\\"."}, '
    '{"bbox": [120, 330, 880, 370], "category": "List-item", "text": "- north well\\n- south well"}, '
    '{"bbox": [120, 400, 880, 560], "category": "Table", "text": "<table><tr><td>Well</td><td>Depth</td></tr><tr>'
    '<td>north</td><td>3</td></tr></table>"}, '
    '{"bbox": [200, 580, 800, 620], "category": "Formula", "text": "$$a = \\\\frac{b}{c}$$"}, '
    '{"bbox": [120, 720, 880, 900], "category": "Picture"}, '
    '{"bbox": [120, 904, 880, 920], "category": "Caption", "text": "Figure 1: Rain"}, '
    '{"bbox": [480, 960, 520, 980], "category": "Page-footer", "text": "12"}]'
)

MINERU = (
    "<|box_start|>120 040 480 060<|box_end|><|ref_start|>header<|ref_end|><|rotate_up|>\n"
    "<|box_start|>120 100 800 140<|box_end|><|ref_start|>title<|ref_end|><|rotate_up|>\n"
    "<|box_start|>120 200 880 320<|box_end|><|ref_start|>text<|ref_end|><|rotate_up|>\n"
    "<|box_start|>120 380 880 398<|box_end|><|ref_start|>table_caption<|ref_end|><|rotate_up|>\n"
    "<|box_start|>120 400 880 560<|box_end|><|ref_start|>table<|ref_end|><|rotate_right|>\n"
    "<|box_start|>200 580 800 620<|box_end|><|ref_start|>equation<|ref_end|><|rotate_up|>\n"
    "<|box_start|>120 720 880 900<|box_end|><|ref_start|>image<|ref_end|><|rotate_up|>\n"
    "<|box_start|>480 960 520 980<|box_end|><|ref_start|>page_number<|ref_end|><|rotate_up|>"
)

MINERU_CROPS = {  # what is read in them, by the top of their boxes
    40: "Annual Report",
    100: "Water & Wine",
    200: "The pH was \\(< 7\\) in all of the wells.",
    380: "Table 1: Wells",
    400: "<fcel>Well<fcel>Depth<lcel><nl><fcel>north<fcel>3<fcel>9<nl>",
    580: "\\[\na = \\frac{b}{c}\n\\]",
    960: "12",
}


def whole_region(found: re.Match[str]) -> str:
    """A region with its text after it, as both steps have it."""
    return f"{found[0]}{MINERU_CROPS.get(int(found[2]), '')}"


RECORDED = {
    "deepseek": DEEPSEEK,
    "doctags": DOCTAGS,
    "dots": DOTS,
    "html": HTML,
    "markdown": MARKDOWN,
    "mineru": re.sub(r"(\d{3}) (\d{3}) \d{3} \d{3}<[^\n]*", whole_region, MINERU),
    "nanonets": NANONETS,
    "olmocr": OLMOCR,
}
