import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { readDashboard } from '../../support/grafana-dashboard.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const dashboard = readDashboard();
const panels = dashboard.panels.filter(({ type }) => type !== 'row');
const rows = dashboard.panels.filter(({ type }) => type === 'row').map(({ title }) => title);

/** Headings of docs/sre.md as links name them. */
const headings = new Set(
  [...readFileSync(`${root}/docs/sre.md`, 'utf8').matchAll(/^#+ (.+)$/gm)].map(([, text = '']) =>
    text
      .toLowerCase()
      .replaceAll(/[^\w\s-]/g, '')
      .replaceAll(' ', '-'),
  ),
);

test('the dashboard tells its story in order', () => {
  const story = ['Is anything being dropped?', 'Whom?', 'Why?', 'Since when?', 'Is it spreading?'];
  assert.deepEqual(
    rows.slice(0, 5).map((title) => title.replace(/^\d · /, '')),
    story,
  );
  assert.ok(rows.slice(5).every((title) => /Health|models/.test(title)) && rows.length >= 8);
});

test('no two panels have one id or lie over each other, and none sticks out', () => {
  const { panels: all } = dashboard;
  assert.equal(new Set(all.map(({ id }) => id)).size, all.length);
  for (const [index, { title, gridPos: a }] of all.entries()) {
    assert.ok(a.w > 0 && a.h > 0 && a.x >= 0 && a.x + a.w <= 24, title);
    for (const { title: other, gridPos: b } of all.slice(index + 1)) {
      const apart = a.x + a.w <= b.x || b.x + b.w <= a.x || a.y + a.h <= b.y || b.y + b.h <= a.y;
      assert.ok(apart, `${title} and ${other}`);
    }
  }
});

test('every panel says what it shows, asks the chosen data source, and leads to a section of the runbook', () => {
  assert.ok(panels.length >= 30);
  assert.equal(new Set(panels.map(({ title }) => title)).size, panels.length);
  for (const { title, description = '', datasource, targets = [], links = [] } of panels) {
    assert.ok(description.length > 30, title);
    assert.ok(targets.length > 0, title);
    for (const { uid } of [datasource!, ...targets.map((each) => each.datasource)]) assert.equal(uid, '${datasource}');
    assert.equal(links.length, 1, title);
    const [, anchor = ''] = links[0]!.url.split('#');
    assert.ok(headings.has(anchor), `${title}: docs/sre.md has no #${anchor}`);
  }
  const variables = dashboard.templating.list.map(({ name, type }) => `${name}: ${type}`);
  assert.deepEqual(variables, ['datasource: datasource', 'job: query', 'agent: query', 'runbooks: constant']);
});

interface Rule {
  readonly alert?: string;
  readonly labels: { readonly severity: string };
  readonly annotations: Readonly<Record<string, string>>;
}

test('every alert has a severity, a section of the runbook, and a test that has it fire', () => {
  const read = (name: string) => parse(readFileSync(`${root}/deploy/prometheus/${name}`, 'utf8')) as unknown;
  const { groups } = read('alerts.yaml') as { groups: { rules: Rule[] }[] };
  const alerts = groups.flatMap(({ rules }) => rules).filter(({ alert }) => alert !== undefined);
  const { tests } = read('alerts.test.yaml') as {
    tests: { alert_rule_test?: { alertname: string; exp_alerts: unknown[] }[] }[];
  };
  const cases = tests.flatMap(({ alert_rule_test: each = [] }) => each);
  assert.ok(alerts.length >= 20);
  for (const { alert, labels, annotations } of alerts) {
    assert.match(labels.severity, /^(page|ticket)$/, alert);
    assert.ok(annotations['summary'] && annotations['description'], alert);
    const [page, anchor = ''] = (annotations['runbook'] ?? '').split('#');
    assert.equal(page, 'docs/sre.md', alert);
    assert.ok(headings.has(anchor), `${alert}: docs/sre.md has no #${anchor}`);
    const own = cases.filter(({ alertname }) => alertname === alert).map(({ exp_alerts: { length } }) => length);
    assert.ok(
      own.some((count) => count > 0),
      `no test has ${alert} fire`,
    );
  }
});

test('dashboard and alerts ask for metrics that there are, and rules of our own', () => {
  const reference = readFileSync(`${root}/docs/reference/metrics.md`, 'utf8');
  const known = new Set([...reference.matchAll(/`(ait_\w+)`/g)].map(([, name]) => name));
  const rules = readFileSync(`${root}/deploy/prometheus/alerts.yaml`, 'utf8');
  const recorded = new Set([...rules.matchAll(/record: (ait:\S+)/g)].map(([, name]) => name));
  const queries = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)).join('\n');
  const asked = [...`${queries}\n${rules}`.matchAll(/\bait[_:][\w:]+/g)].map(([name]) => name);
  assert.ok(asked.length > 100);
  const unknown = asked.filter((name) => !recorded.has(name) && !known.has(name.replace(/_(bucket|sum|count)$/, '')));
  assert.deepEqual(new Set(unknown), new Set());
});
