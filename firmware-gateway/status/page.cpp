#include "firmware-gateway/status/page.hpp"

namespace status {

std::string_view local_page() {
  static constexpr std::string_view page = R"html(<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tillstream gateway</title>
<style>
  :root { color-scheme: light dark; --line: #8884; --good: #1a7f37; --bad: #cf222e; --warn: #9a6700; }
  body { font: 16px/1.45 system-ui, sans-serif; margin: 0 auto; padding: 1.2rem; max-width: 44rem; }
  h1 { font-size: 1.1rem; font-weight: 600; margin: 0 0 .2rem; }
  .verdict { font-size: 1.7rem; font-weight: 700; margin: .2rem 0 .6rem; }
  @media (prefers-color-scheme: dark) { :root { --good: #4ac26b; --bad: #ff7b72; --warn: #d4a72c; } }
  .good { color: var(--good); } .bad { color: var(--bad); } .warn { color: var(--warn); }
  ul { padding-left: 1.2rem; margin: .2rem 0 1rem; }
  dl { display: grid; grid-template-columns: minmax(9rem, auto) 1fr; margin: 0; border-top: 1px solid var(--line); }
  dt, dd { padding: .45rem 0; margin: 0; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
  dt { opacity: .7; padding-right: 1rem; }
  dd { font-variant-numeric: tabular-nums; }
  footer { opacity: .75; font-size: .85rem; margin-top: 1rem; } footer a { color: inherit; }
</style>
<h1>Tillstream gateway <span id="gateway"></span></h1>
<div class="verdict" id="verdict" role="status">…</div>
<ul id="reasons"></ul>
<dl id="facts"></dl>
<footer>Refreshed every two seconds. The same as JSON: <a href="/v1/status">/v1/status</a>, <a href="/healthz">/healthz</a>,
<a href="/metrics">/metrics</a>.</footer>
<script>
'use strict';
const show = (id, text) => { document.getElementById(id).textContent = text; };
const age = s => s < 120 ? s + ' s' : s < 7200 ? Math.round(s / 60) + ' min' : s < 172800 ? Math.round(s / 3600) + ' h' : Math.round(s / 86400) + ' d';
const mib = b => b < 10737418240 ? (b / 1048576).toFixed(1) + ' MiB' : (b / 1073741824).toFixed(1) + ' GiB';
const moment = iso => iso.slice(0, 10) + ' ' + iso.slice(11, 19) + ' UTC';
const rows = (id, list) => {
  const element = document.getElementById(id);
  element.replaceChildren(...list.flatMap(([name, value]) => {
    const dt = document.createElement('dt'), dd = document.createElement('dd');
    dt.textContent = name; dd.textContent = value;
    return [dt, dd];
  }));
};
async function refresh() {
  try {
    const [status, health] = await Promise.all([
      fetch('/v1/status', { cache: 'no-store' }).then(r => r.json()),
      fetch('/healthz', { cache: 'no-store' }).then(r => r.json())]);
    const good = health.status === 'ok', linked = status.uplink.connected;
    show('gateway', status.gateway_id);
    show('verdict', !good ? 'Needs attention' : linked ? 'All is well' : 'Storing; no link to the broker');
    document.getElementById('verdict').className = 'verdict ' + (!good ? 'bad' : linked ? 'good' : 'warn');
    document.getElementById('reasons').replaceChildren(...health.reasons.map(reason => {
      const item = document.createElement('li'); item.textContent = reason; return item; }));
    const unknown = status.pending_events === null;
    const money = (status.pending_amounts || []).map(a => a.count + ' × ' + a.currency + ', ' + a.amount_minor + ' minor units').join('; ');
    rows('facts', [
      ['Waiting to be sent', unknown ? 'not known until the journal is open' : status.pending_events + (status.pending_events ? ', the oldest for ' + age(status.oldest_pending_seconds) : '')],
      ['Money among it', status.pending_amounts === null ? 'not known yet' : money || 'none'],
      ['Link to the broker', (linked ? 'connected' : 'not connected') + ' since ' + moment(status.uplink.since)],
      ['Last error', status.uplink.last_error || 'none'],
      ['Bridge', status.uplink.held || status.uplink.handoff],
      ['Journal', status.journal.state + ', ' + mib(status.journal.bytes) + ' of ' + mib(status.journal.quota_bytes)],
      ['Free on the disk', mib(status.journal.free_disk_bytes)],
      ['Events stored', unknown ? 'not known until the journal is open' : (status.next_seq - 1) + ' in this epoch, ' + status.committed_seq + ' of them in the stream'],
      ['Clock', status.clock],
      ['Certificate', status.certificate_days_left === null ? 'none' : status.certificate_days_left + ' days left'],
      ['Listening', Object.entries(status.listeners).map(([name, address]) => name + ' ' + address).join(', ')],
      ['Version', status.version]]);
  } catch (error) {
    show('verdict', 'The gateway does not answer');
    document.getElementById('verdict').className = 'verdict bad';
  }
}
refresh();
setInterval(refresh, 2000);
</script>
</html>
)html";
  return page;
}

}  // namespace status
