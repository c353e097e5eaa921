"""The page at `/` while no dashboard is built: what is running here and where to go on."""

from __future__ import annotations

from html import escape
from string import Template

from schema.settings import Settings
from schema.version import VERSION

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""It has a style sheet of its own inside, and nothing else."""


def plain_page(settings: Settings) -> str:
    """The page, in HTML."""
    return _PAGE.substitute(version=escape(VERSION), base=escape(settings.public_base))


_PAGE = Template("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>VoxForge</title>
<style>
:root {
  --page: #f6f7f9; --card: #ffffff; --ink: #16181d; --soft: #5a6270; --line: #e1e4ea;
  --accent: #0b6e4f; --code: #f0f2f5;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #101215; --card: #181b20; --ink: #e9ebee; --soft: #9aa3b0; --line: #2a2f37;
    --accent: #5fd0a5; --code: #101215;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; padding: clamp(1.25rem, 5vw, 4rem) 1rem; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
main { max-width: 44rem; margin: 0 auto; }
header { display: flex; align-items: center; gap: .75rem; flex-wrap: wrap; margin-bottom: .5rem; }
h1 { font-size: 1.75rem; letter-spacing: -.02em; line-height: 1.2; margin: 0; }
h2 { font-size: 1rem; margin: 0 0 .75rem; }
.version {
  font-size: .8125rem; color: var(--soft); border: 1px solid var(--line); border-radius: 999px; padding: .1rem .6rem;
}
.lead { color: var(--soft); margin: 0 0 1.75rem; }
section {
  background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 1.25rem; margin: 0 0 1rem;
}
pre {
  margin: 0; padding: .875rem 1rem; background: var(--code); border: 1px solid var(--line); border-radius: 8px;
  overflow-x: auto; font-size: .8125rem;
}
code, pre { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
p { margin: .75rem 0 0; color: var(--soft); font-size: .9375rem; }
ul { list-style: none; margin: 0; padding: 0; }
li {
  display: flex; flex-wrap: wrap; gap: .125rem 1rem; justify-content: space-between; padding: .55rem 0;
  border-top: 1px solid var(--line);
}
li:first-child { border-top: 0; padding-top: 0; }
li:last-child { padding-bottom: 0; }
li span { color: var(--soft); font-size: .9375rem; }
a { color: var(--accent); text-decoration-thickness: 1px; text-underline-offset: .2em; }
a:focus-visible { outline: 2px solid var(--accent); outline-offset: 3px; border-radius: 3px; }
</style>
</head>
<body>
<main>
<header><h1>VoxForge</h1><span class="version">$version</span></header>
<p class="lead">Voice agents that place and take phone calls. The server is running.</p>
<section>
<h2>Make a request</h2>
<pre tabindex="0"><code>curl -X GET "$base/api/v1/agents" \\
  -H "Authorization: Bearer YOUR_API_KEY"</code></pre>
<p>The first start prints a key. <code>voxforge keys create --name NAME</code> makes another.</p>
</section>
<section>
<h2>What answers here</h2>
<ul>
<li><a href="/api/v1/openapi.json"><code>/api/v1/openapi.json</code></a><span>The REST API, described</span></li>
<li><code>/api/v1/…</code><span>The REST API</span></li>
<li><a href="/graphql"><code>/graphql</code></a><span>The GraphQL API: POST, with a key</span></li>
<li><a href="/healthz"><code>/healthz</code></a><span>Is the process up?</span></li>
<li><a href="/readyz"><code>/readyz</code></a><span>Can it do its work?</span></li>
<li><a href="/metrics"><code>/metrics</code></a><span>Figures for Prometheus</span></li>
</ul>
</section>
</main>
</body>
</html>
""")
