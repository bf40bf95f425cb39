"""The style sheet and the script of the document."""

from __future__ import annotations

__all__ = ["SCRIPT", "STYLE"]

STYLE = """
:root{color-scheme:light dark;--bg:#fff;--card:#f5f7fa;--text:#1b2733;--soft:#52606d;--line:#cfd7e0;--blue:#1f6fb2;
--fill:#8fbce0;--red:#b3261e;--pink:#e5837c;--ink:#1b2733;--outage:#d9534f;--asked:#c98a00;--idle:#7b8794}
@media(prefers-color-scheme:dark){:root{--bg:#12181f;--card:#1c2530;--text:#e6edf3;--soft:#a9b6c3;--line:#3a4755;
--blue:#7fbdf0;--fill:#2f6796;--red:#ff9a92;--pink:#a8423b;--ink:#e6edf3;--outage:#e5675f;--asked:#d9a12b;
--idle:#8d9aa8}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:76rem;padding:1rem;background:var(--bg);color:var(--text);
font:1rem/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
h1{font-size:1.5rem;line-height:1.25;margin:.5rem 0;overflow-wrap:anywhere}
h2{font-size:1.2rem;margin:2rem 0 .5rem;border-bottom:1px solid var(--line);padding-bottom:.25rem}
h3{font-size:1rem;margin:0}
p{margin:.4rem 0;overflow-wrap:anywhere}
.soft,.about,caption{color:var(--soft)}
.about{font-size:.9rem}
.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(10rem,1fr));gap:.6rem;margin:1rem 0;padding:0}
.facts div{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.5rem .75rem}
.facts dt{font-size:.85rem;color:var(--soft)}
.facts dd{margin:0;font-size:1.25rem;font-weight:600;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
.scroll{overflow-x:auto;max-width:100%}
.scroll:focus-visible,summary:focus-visible{outline:2px solid var(--blue);outline-offset:2px}
table{border-collapse:collapse;width:100%;font-size:.9rem}
caption{text-align:left;padding:.25rem 0}
th,td{text-align:left;vertical-align:top;padding:.35rem .6rem;border-bottom:1px solid var(--line)}
thead th{white-space:nowrap;background:var(--card)}
.num{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.time{white-space:nowrap;font-variant-numeric:tabular-nums}
.text{min-width:14rem;overflow-wrap:anywhere}
.who{min-width:11rem;overflow-wrap:anywhere}
.sub th{padding-left:1.6rem;font-weight:400}
tbody th{font-weight:600}
.share{width:35%;min-width:5rem}
.bar{display:block;width:100%;height:.6rem;margin-top:.45rem}
.bar .track{fill:var(--line)}.bar .done{fill:var(--blue)}
figure{margin:1.5rem 0;display:grid;grid-template-columns:6rem 1fr;gap:.35rem .5rem}
figcaption{grid-column:1/-1}
.legend{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;font-size:.9rem;margin:.2rem 0 .4rem}
.legend:empty{display:none}
.key svg{width:24px;height:8px;vertical-align:middle}
.y,.x{display:flex;justify-content:space-between;font-size:.8rem;line-height:1rem;color:var(--soft);
font-variant-numeric:tabular-nums;white-space:nowrap}
.y{flex-direction:column;text-align:right;margin:-.5rem 0}
.lanes .y{justify-content:space-around;margin:0}
.x{grid-column:2}
.drawing{display:block;width:100%;height:10rem;border-left:1px solid var(--line);overflow:hidden}
.lanes .drawing{background:var(--card)}
.lanes.n1 .drawing{height:1.8rem}.lanes.n2 .drawing{height:3.6rem}.lanes.n3 .drawing{height:5.4rem}
.grid{stroke:var(--line);fill:none;vector-effect:non-scaling-stroke}
.line{fill:none;stroke-width:1.75;vector-effect:non-scaling-stroke}
.area{stroke:none}
.done.area,.busy.area{fill:var(--fill)}
.failed.area{fill:var(--pink);stroke:var(--red);vector-effect:non-scaling-stroke}
.limit{stroke:var(--ink);stroke-dasharray:6 4}
.p50{stroke:var(--blue)}.p95{stroke:var(--ink);stroke-dasharray:5 3}.p99{stroke:var(--red);stroke-dasharray:1.5 3}
.band{opacity:.22}.outage{fill:var(--outage)}.asked{fill:var(--asked)}.idle{fill:var(--idle)}
.break{fill:var(--line)}
.unseen{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
details{margin:1rem 0}summary{cursor:pointer;font-weight:600;padding:.25rem 0}
form{display:flex;flex-wrap:wrap;gap:.6rem 1rem;align-items:end;margin:.75rem 0}
[hidden]{display:none!important}
label{display:grid;gap:.2rem;font-size:.9rem;max-width:100%}
input,select{font:inherit;color:inherit;background:var(--bg);border:1px solid var(--soft);border-radius:.35rem;
padding:.35rem .5rem;max-width:100%;min-width:0;height:2.4rem}
output{font-variant-numeric:tabular-nums}
@media(max-width:40rem){.x span:nth-child(even){display:none}th,td{padding:.3rem .4rem}
figure{grid-template-columns:3rem 1fr}
.lanes .y{display:block;text-align:left;grid-column:1/-1}.lanes .y::before{content:"From top: "}
.lanes .y span+span::before{content:", "}.lanes .drawing{grid-column:2}}
@media print{form{display:none}.scroll{overflow:visible}figure,tr{break-inside:avoid}body{max-width:none}}
"""

SCRIPT = """
"use strict";
(() => {
  const form = document.getElementById("filter");
  if (!form) return;
  const words = document.getElementById("words"), kind = document.getElementById("kind");
  const shown = document.getElementById("shown");
  const rows = Array.from(document.getElementById("failures").tBodies[0].rows);
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const apply = () => {
    const wanted = words.value.trim().toLowerCase().split(/\\s+/);
    let count = 0;
    rows.forEach((row, number) => {
      const fits = (!kind.value || row.dataset.kind === kind.value)
        && wanted.every((word) => texts[number].includes(word));
      row.hidden = !fits;
      count += fits;
    });
    shown.textContent = count.toLocaleString("en") + " of " + rows.length.toLocaleString("en") + " shown";
  };
  form.hidden = false;
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  apply();
})();
"""
