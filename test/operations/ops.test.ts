import { readFile } from 'node:fs/promises'
import t from 'tap'
import { scrape } from '../support/metrics.ts'
import { startService } from '../support/service.ts'

const read = (name: string) => readFile(new URL(`../../ops/${name}`, import.meta.url), 'utf8')
const metric = /\b(?:user_segments|http|nodejs|process)_[a-z_]+\b/g

t.test('the metrics that ops/ uses exist', async (t) => {
  const service = await startService(t)
  await service.getSegments(1)
  const { body } = await service.app.inject('/metrics')
  const types = new Map([...body.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name, type]))
  // Queries name the parts of a histogram, which only a histogram has.
  const exposed = new Set(
    [...types].flatMap(([name, type]) =>
      type === 'histogram' ? ['bucket', 'sum', 'count'].map((part) => `${name}_${part}`) : [name]
    )
  )
  const files = {
    'alerts.yml': (await read('alerts.yml')).match(/expr: (>-\n(?: {10}.*\n)+|.*\n)/g)?.join('') ?? '',
    'grafana-dashboard.json': await read('grafana-dashboard.json')
  }
  for (const [file, text] of Object.entries(files)) {
    t.test(`in ${file}`, async (t) => {
      const names = new Set(text.match(metric))
      t.ok(names.size > 5)
      for (const name of names) t.ok(exposed.has(name), name)
      const samples = await scrape(service)
      for (const [, route = ''] of text.matchAll(/route=\\?"([^"\\]+)/g)) {
        const start = `http_request_duration_seconds_count{method="GET",route="${route}"`
        t.equal(samples.startingWith(start).length, 1, route)
      }
    })
  }

  t.test('every metric of the service is documented', async (t) => {
    const page = await readFile(new URL('../../docs/monitoring.md', import.meta.url), 'utf8')
    const ours = [...types.keys()].filter((name) => /^(user_segments|http)_/.test(name ?? ''))
    t.ok(ours.length > 10)
    for (const name of ours) t.match(page, `\`${name}\``)
  })
})

t.test('the dashboard can be imported: it names no data source, and each panel id is unique', async (t) => {
  const dashboard = JSON.parse(await read('grafana-dashboard.json'))
  const panels: { id: number; type: string; datasource?: { uid: string }; targets?: { expr: string }[] }[] =
    dashboard.panels
  t.equal(new Set(panels.map(({ id }) => id)).size, panels.length)
  t.match(dashboard.templating.list[0], { name: 'datasource', type: 'datasource', query: 'prometheus' })
  for (const { type, datasource, targets } of panels.filter((panel) => panel.type !== 'row')) {
    t.equal(datasource?.uid, `\${datasource}`, type)
    t.ok(targets?.every(({ expr }) => expr.includes('job=~"$job", instance=~"$instance"')))
  }
})

t.test('every alert has a description and a severity', async (t) => {
  const rules = (await read('alerts.yml')).split(/^ {6}- alert: /m).slice(1)
  t.ok(rules.length >= 7)
  for (const rule of rules) {
    t.match(rule, /^UserSegments\w+\n {8}expr: /)
    t.match(rule, /\n {10}severity: (critical|warning)\n {8}annotations:\n {10}summary: ".{60,}"\n/)
  }
})
