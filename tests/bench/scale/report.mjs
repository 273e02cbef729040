// Figures → a table in Markdown.
const seconds = (value) => (value === null || value === undefined ? 'not within the time' : `${value.toFixed(1)} s`);
const whole = (value) => Math.round(value).toLocaleString('en-US');

function rows({ settings, appear, quiet, ask, moving, restart }) {
  const perSecond = ({ writes, seconds: span }) => (writes / span).toFixed(2);
  const cores = ({ cost, seconds: span }, name) => (cost[name].cpu / span).toFixed(3);
  return [
    ['until every object is applied and every status says so', seconds(appear.said)],
    ['until every pod is available', seconds(appear.available)],
    ["the operator's CPU until then", seconds(appear.cost.operator.cpu)],
    ["the operator's requests to the API server until then, for each pipeline", (Object.values(appear.requests).reduce((a, b) => a + b, 0) / settings.pipelines).toFixed(1)],
    [`writes in ${whole(quiet.seconds)} quiet seconds, Leases apart`, whole(quiet.writes)],
    ['cores, quiet: operator, adapter', `${cores(quiet, 'operator')}, ${cores(quiet, 'adapter')}`],
    ['writes/s while every depth moves', perSecond(moving)],
    ['cores meanwhile: operator, adapter', `${cores(moving, 'operator')}, ${cores(moving, 'adapter')}`],
    ['memory, MiB: operator, adapter (now; most)', ['operator', 'adapter'].map((name) => `${whole(quiet.cost[name].memory)}; ${whole(moving.cost[name].peak)}`).join(', ')],
    ['a question about a metric, p50 and p99', `${ask.p50.toFixed(1)} ms, ${ask.p99.toFixed(1)} ms`],
    ['operator ended: what was changed meanwhile is done', seconds(restart.acted)],
    ['operator ended: every pipeline was looked at', seconds(restart.caughtUp)],
  ];
}

export function markdown(all) {
  const lines = rows(all).map((row) => `| ${row.join(' | ')} |`);
  return `${all.machine}. ${whole(all.settings.pipelines)} pipelines.

| what | figure |
| --- | --: |
${lines.join('\n')}`;
}
