"""The style sheet of the report: one column to read, and the same on paper."""

STYLE = """
:root { --ink: #1f2a33; --faint: #63717b; --line: #d9e0e4; --accent: #b8324a; --tint: #f5f8f9; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 2.5rem 1.5rem 4rem; color: var(--ink); background: #fff;
  font: 16px/1.55 -apple-system, "Segoe UI", "Helvetica Neue", "Liberation Sans", "DejaVu Sans", Arial, sans-serif; }
header { border-bottom: 3px solid var(--accent); margin-bottom: 1.6rem; padding-bottom: .6rem; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.3rem; margin: 2.4rem 0 .6rem; }
h3 { font-size: 1rem; margin: 1.6rem 0 .4rem; }
p, li { max-width: 46rem; }
.subtitle, figcaption, caption, .note { color: var(--faint); font-size: .9rem; }
.summary { background: var(--tint); border-left: 4px solid var(--accent); padding: .8rem 1.2rem; margin: 1.2rem 0; }
.summary ul { margin: 0; padding-left: 1.1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding: .2rem 0 .5rem; }
th, td { padding: .38rem .7rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
thead th { border-bottom: 2px solid var(--ink); vertical-align: bottom; }
td.words { text-align: left; white-space: normal; }
.wide + .wide { margin-top: 1.6rem; }
td.best { font-weight: 700; background: #fbeef0; }
td .ends { color: var(--faint); font-weight: 400; font-size: .86em; }
tr.baseline th { font-weight: 400; }
tbody th { font-weight: 700; }
figure { margin: 1.4rem 0; }
figure img { display: block; width: 100%; height: auto; }
dl { display: grid; grid-template-columns: minmax(8rem, max-content) 1fr; gap: .4rem 1.2rem; font-size: .93rem; }
dt { font-weight: 700; }
dd { margin: 0; max-width: 42rem; overflow-wrap: anywhere; }
code, pre { font: .86em/1.45 "SFMono-Regular", Consolas, "Liberation Mono", "DejaVu Sans Mono", monospace; }
pre { background: var(--tint); padding: .8rem 1rem; white-space: pre-wrap; overflow-wrap: anywhere; }
@media print {
  @page { size: A4; margin: 16mm 15mm; }
  body { max-width: none; padding: 0; font-size: 10.5pt; }
  h2, h3 { break-after: avoid; }
  tr, figure, .summary, dl > div { break-inside: avoid; }
  caption { break-after: avoid; }
  .wide { overflow: visible; }
  th, td { padding: .25rem .4rem; }
  table { font-size: 8.8pt; }
  td.best, .summary { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
@media (max-width: 40rem) { dl { grid-template-columns: 1fr; gap: .1rem; } dd { margin-bottom: .6rem; } }
"""
