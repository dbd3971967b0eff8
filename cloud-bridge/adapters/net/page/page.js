'use strict';
// The live page. Whatever comes from the stream is foreign text: it is only ever set as textContent.

const EVENTS_SHOWN = 100;
const LATENCIES_KEPT = 200;
const SHOWN_AT_START = 30;
const RATE_SPAN = 10000;  // ms
const $ = id => document.getElementById(id);
const kept = sessionStorage.getItem('token');
let token = kept || '';
let lastId = null;        // where to go on: the id of the last record seen
let latencies = [];
let arrivals = [];

function headers(more) {
  return token ? {Authorization: 'Bearer ' + token, ...more} : {...more};
}

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.textContent = text;
  return made;
}

function amount(event) {
  if (typeof event.amount_minor !== 'number') return '';
  const exponent = Number.isInteger(event.currency_exponent) ? Math.min(Math.max(event.currency_exponent, 0), 4) : 0;
  const minus = event.effect_minor < 0 ? '−' : '';
  const value = (event.amount_minor / 10 ** exponent).toLocaleString(undefined, {minimumFractionDigits: exponent, maximumFractionDigits: exponent});
  return minus + value + ' ' + (event.currency || '');
}

function latency(event) {
  const taken = Date.parse(event.received_at), published = Date.parse(event.published_at);
  return Number.isNaN(taken) || Number.isNaN(published) ? null : published - taken;
}

function duration(ms) {
  if (ms < 0) return 'clocks differ';
  if (ms < 10000) return ms + ' ms';
  if (ms < 120000) return Math.round(ms / 1000) + ' s';
  if (ms < 7200000) return Math.round(ms / 60000) + ' min';
  return Math.round(ms / 3600000) + ' h';
}

function row(event) {
  const item = document.createElement('li');
  const notice = event.type === 'notice';
  if (notice) item.className = 'notice';
  item.append(element('span', 'who', notice ? event.notice : event.merchant_name || event.merchant_id || event.terminal_id));
  const counted = notice || event.outcome === 'approved' || event.outcome === 'partial' || event.outcome === undefined;
  item.append(element('span', counted ? 'sum' : 'sum void', amount(event)));
  const card = [event.card_brand, event.card_last4 && '•••• ' + event.card_last4].filter(Boolean).join(' ');
  const gone = event.notice === 'records_removed' && event.first + ' up to ' + event.next + ': no longer kept';
  const words = [event.type, gone, event.outcome !== 'approved' && event.outcome, card, event.gateway_id && event.gateway_id + (event.terminal_id ? '/' + event.terminal_id : '')];
  item.append(element('span', 'more', words.filter(Boolean).join(' · ')));
  const ms = latency(event);
  item.append(element('span', 'age', ms === null ? '' : duration(ms)));
  return item;
}

// The newest on top. Only at the start, when several partitions' records come one partition after another, is this not
// the order in which they come.
function place(item, published) {
  item.dataset.published = published;
  let below = $('events').firstChild;
  while (below && Date.parse(below.dataset.published) > Date.parse(published)) below = below.nextSibling;
  $('events').insertBefore(item, below);
}

function show(event) {
  $('empty').hidden = true;
  const list = $('events');
  place(row(event), event.published_at || new Date().toISOString());
  while (list.children.length > EVENTS_SHOWN) list.lastChild.remove();
  if (Date.parse(event.published_at) > Date.now() - RATE_SPAN) arrivals.push(Date.now());
  const ms = latency(event);
  if (ms !== null && ms >= 0) latencies = [...latencies.slice(1 - LATENCIES_KEPT), ms];
}

// --- server-sent events by fetch, because EventSource cannot send a token ---

function take(block) {
  let data = [], kind = '';
  for (const line of block.split('\n')) {
    if (line.startsWith('event:')) kind = line.slice(6).trim();
    if (line.startsWith('id:')) lastId = line.slice(3).trim();
    if (line.startsWith('data:')) data.push(line.slice(5).trimStart());
  }
  if (!data.length) return;
  try {
    const event = JSON.parse(data.join('\n'));
    show(kind === 'removed' ? {...event, type: 'notice'} : event);
  } catch (error) {
    console.warn('unreadable event', error);
  }
}

async function follow() {
  const more = lastId === null ? {} : {'Last-Event-ID': lastId};
  // At first a few records before the end, so that the page is not empty.
  const query = lastId === null ? '?last=' + SHOWN_AT_START : '';
  const response = await fetch('v1/events' + query, {headers: headers(more), cache: 'no-store'});
  if (response.status === 401) return ask();
  if (!response.ok) throw new Error('status ' + response.status);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = '';;) {
    const {done, value} = await reader.read();
    if (done) return;
    const blocks = (rest + value).split('\n\n');
    rest = blocks.pop();
    blocks.forEach(take);
  }
}

async function followForEver() {
  for (;;) {
    try {
      await follow();
    } catch (error) {
      console.info('stream of events ended:', error.message);
    }
    await new Promise(resolve => setTimeout(resolve, 1000 + Math.random() * 1000));
  }
}

// --- status ---

function health(status) {
  const badge = $('health');
  badge.textContent = status.healthy ? 'healthy' : 'not healthy';
  badge.className = 'badge ' + (status.healthy ? 'good' : 'bad');
  const reasons = [...status.reasons, ...status.alarms];
  $('reasons').hidden = reasons.length === 0;
  $('reasons').replaceChildren(...reasons.map(reason => element('li', '', reason.message)));
}

function gatewayRow(gateway) {
  const made = document.createElement('tr');
  const heard = gateway.last_heard_at ? duration(Math.max(0, Date.now() - Date.parse(gateway.last_heard_at))) + ' ago' : '–';
  const state = [gateway.quarantined && 'quarantined', gateway.held && 'held', gateway.clock === 'unsynced' && 'clock unsynced'].filter(Boolean);
  const cells = [gateway.gateway_id, gateway.committed_seq, gateway.pending_events ?? '–', heard,
                 gateway.complete_until ? new Date(gateway.complete_until).toLocaleTimeString() : '–', state.join(', ') || 'ok'];
  made.append(...cells.map(text => element('td', '', String(text))));
  if (state.length) made.lastChild.className = 'bad';
  return made;
}

function figures(status) {
  $('bridge').textContent = status.bridge_id;
  // Kafka counts by partition: there it is what this bridge has published since it started.
  const position = status.stream.last_position;
  $('position').textContent = position?.toLocaleString() ?? status.counters.committed_records.toLocaleString() + ' since start';
  $('broker').textContent = status.broker.connected ? 'connected' : 'offline';
  $('gateways-total').textContent = status.gateways_total ? '(' + status.gateways_total + ')' : '';
  arrivals = arrivals.filter(at => at > Date.now() - RATE_SPAN);
  $('rate').textContent = (arrivals.length * 1000 / RATE_SPAN).toFixed(1);
  const sorted = [...latencies].sort((a, b) => a - b);
  $('median').textContent = sorted.length ? duration(sorted[sorted.length >> 1]) : '–';
}

function unreachable() {
  $('health').textContent = 'bridge unreachable';
  $('health').className = 'badge bad';
}

async function look() {
  try {
    const response = await fetch('v1/status', {headers: headers(), cache: 'no-store'});
    if (response.status === 401) return ask();
    const status = await response.json();
    health(status);
    figures(status);
    $('gateways').replaceChildren(...status.gateways.map(gatewayRow));
  } catch (error) {
    unreachable();
  }
}

// --- a token, where one is asked for ---

function ask() {
  $('login').hidden = false;
  $('health').textContent = 'token needed';
}

$('login').addEventListener('submit', event => {
  event.preventDefault();
  token = $('token').value;
  sessionStorage.setItem('token', token);
  $('login').hidden = true;
  look();
});

look();
setInterval(look, 2000);
followForEver();
