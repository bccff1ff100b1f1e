"""The page of a report, for Jinja."""

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{{ name }}</title>
<style>
@page { size: A4 landscape; margin: 10mm; }
body { font: 13px/1.4 system-ui, sans-serif; margin: 1.5em; color: #222; max-width: 1250px; }
h1 { font-size: 1.4em; margin: 0; } h2 { font-size: 1.1em; margin: 1.2em 0 .3em; }
table { border-collapse: collapse; font-size: .9em; }
th, td { border-bottom: 1px solid #ddd; padding: 2px 7px; text-align: right; white-space: nowrap; }
th:first-child, td:first-child, td.words { text-align: left; } td.words { white-space: normal; max-width: 26em; }
small, .quiet { color: #777; } .warn { background: #fff3cd; padding: .3em .6em; border-left: 4px solid #e0a800; }
.columns { display: flex; gap: 1.5em; flex-wrap: wrap; align-items: flex-start; }
svg { max-width: 100%; height: auto; } .picture { max-height: 560px; max-width: 50%; object-fit: contain; }
.columns > div { flex: 1; min-width: 380px; }
tr.broken td { background: #fdecea; }
</style>
</head>
<body>
<h1>{{ name }}</h1>
<p class="warn"><b>Not for clinical use.</b> Computed for research, not read by a physician; this is not a medical
device. Check every number against the picture. The patient lay on the table: curves and slips are smaller than
standing.</p>

<h2>Names</h2>
<p{% if certainty != "certain" %} class="warn"{% endif %}>{{ verdict }}
{% for reading in readings %}
<br>{{ loop.index }}. {{ reading.levels }} (probability {{ reading.probability }}){% endfor %}
{% if evidence %}<br>Seen: {{ evidence | join(", ") }}.{% endif %}</p>
{% for warning in warnings %}<p class="warn">{{ warning }}</p>{% endfor %}

<div class="columns">
{% if picture %}
<img class="picture" alt="sagittal and coronal picture of the column"
 src="data:image/png;base64,{{ picture }}">{% endif %}
<div>
<h2>Column</h2>
<table>
<tr><th>measure</th><th>value</th><th>between</th><th>names right</th></tr>
{% for row in curves %}
<tr><td>{{ row.name }}</td><td>{{ row.value }}</td><td>{{ row.between }}</td>
<td>{{ row.sure }}</td></tr>
{% endfor %}</table>
<h2>Density</h2>
{% for line in statements %}<p>{{ line }}.</p>{% else %}
<p class="quiet">No statement: L1 is not measured.</p>{% endfor %}
{% for figure in figures %}{{ figure | safe }}{% endfor %}
</div>
</div>

<h2>Vertebrae</h2>
<table>
<tr>{% for heading in headings %}<th>{{ heading }}</th>{% endfor %}</tr>
{% for row in vertebrae %}
<tr{% if row.broken %} class="broken"{% endif %}>
{% for cell in row.cells %}<td>{{ cell }}</td>{% endfor %}
<td class="words"><small>{{ row.notes }}</small></td></tr>
{% endfor %}</table>
<p class="quiet">± is one standard deviation. Heights in the mid-sagittal plane (Genant et al. 1993); loss against the
neighbours; grade 1 from 20 %, 2 from 25 %, 3 from 40 % of a height, T4 to L4: a deformity, not always a fracture. Disc
and slip are those below the vertebra; slips from 3 mm by Meyerding 1932. HU of L1: Pickhardt et al. 2013. Positive
tilts: forward, to the left.</p>

<h2>How it was made</h2>
<p class="quiet">{{ made }}</p>
</body>
</html>
"""
