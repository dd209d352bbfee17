import { h } from 'preact'
import { useEffect } from 'preact/hooks'
import type { System } from '../../client/src/index.ts'
import { announce } from '../components/live-region.ts'
import { ErrorNotice, Skeleton } from '../components/notice.ts'
import { Page, Section } from '../components/page.ts'
import { type Column, Table } from '../components/table.ts'
import { Count, Facts, Tag, Time } from '../components/values.ts'
import { html } from '../html.ts'
import { formatBytes, formatDuration } from '../language.ts'
import { type Readiness, useReadiness } from '../readiness.ts'
import { isOutage, usePoll } from '../requests.ts'
import { linkTo } from '../router.ts'
import { useMay, useSession } from '../session.ts'
import { t } from '../texts.ts'
import { listReasons } from '../verdict.ts'
import { SystemVerdict } from './system-verdict.ts'

type Instance = NonNullable<System['instances']>[number]
type ReadServer = System['database']['read_servers'][number]
type Work = {
  name: string
  queued: number | null
  running: number
  failed: number | null
  oldest: number | null
}

/** A dash where there is nothing to count. */
const number = (value: number | null) => (value === null ? '–' : h(Count, { value }))

function listWork({ fillings, reports, imports }: System): Work[] {
  const work = (name: string, { queued, running, failed, oldest_queued_seconds }: System['fillings']) => {
    return { name, queued, running, failed, oldest: queued > 0 ? oldest_queued_seconds : null }
  }
  return [
    work(t.system.fillings, fillings),
    work(t.system.reports, reports),
    { name: t.system.imports, queued: null, running: imports.running, failed: null, oldest: null }
  ]
}

const workColumns = (): Column<Work>[] => [
  { title: t.system.work, width: '100%', cell: ({ name }) => name },
  { title: t.system.queued, isNumber: true, cell: ({ queued }) => number(queued) },
  { title: t.system.running, isNumber: true, cell: ({ running }) => number(running) },
  { title: t.system.failed, isNumber: true, cell: ({ failed }) => number(failed) },
  {
    title: t.system.oldest,
    from: 'narrow',
    cell: ({ oldest }) => (oldest === null ? '–' : formatDuration(oldest))
  }
]

const instanceColumns = ({ instance }: System): Column<Instance>[] => [
  {
    title: t.system.instance,
    width: '100%',
    cell: ({ host, pid }) => html`<span class="cell-main">
      <span class="mono">${host}:${pid}</span>
      ${host === instance.host && pid === instance.pid && h(Tag, { kind: 'accent', children: t.system.answered })}
    </span>`
  },
  { title: t.system.connections, isNumber: true, cell: ({ connections }) => h(Count, { value: connections }) }
]

const readServerColumns = (): Column<ReadServer>[] => [
  {
    title: t.system.readServer,
    width: '100%',
    cell: ({ server }) => html`<span class="mono">${server}</span>`
  },
  {
    title: t.system.state,
    cell: ({ serving }) =>
      h(Tag, { kind: serving ? 'good' : 'warn', children: serving ? t.system.serving : t.system.leftOut })
  }
]

function Instances({ system }: { system: System }) {
  const { instance, instances } = system
  return h(Section, {
    title: t.system.instances,
    children: html`
      ${h(Facts, {
        facts: [
          [t.system.version, html`<span class="mono">${system.version}</span>`],
          [t.system.node, html`<span class="mono">${instance.node}</span>`],
          [t.system.answeredBy, html`<span class="mono">${instance.host}:${instance.pid}</span>`],
          [t.system.startedAt, h(Time, { value: instance.started_at })]
        ]
      })}
      ${
        instances === null
          ? html`<p class="hint">${t.system.instancesUnknown}</p>`
          : h(Table<Instance>, {
              label: t.system.instances,
              columns: instanceColumns(system),
              rows: instances,
              keyOf: ({ host, pid }) => `${host}:${pid}`
            })
      }`
  })
}

function Database({ system: { database, migrations, changes, segments, groups } }: { system: System }) {
  const { postgresql, citus, bytes, read_servers: readServers } = database
  const time = (value: string | null) => (value === null ? t.common.none : h(Time, { value }))
  return h(Section, {
    title: t.system.database,
    children: html`
      ${h(Facts, {
        facts: [
          ['PostgreSQL', html`<span class="mono">${postgresql}</span>`],
          ...(citus === null ? [] : [['Citus', html`<span class="mono">${citus}</span>`] as const]),
          ...(bytes === null ? [] : [[t.system.size, formatBytes(bytes)] as const]),
          [t.system.schema, html`<span class="mono">${migrations.applied.at(-1) ?? t.common.none}</span>`],
          [t.system.segments, h(Count, { value: segments })],
          [t.system.groups, h(Count, { value: groups })],
          [t.system.oldestChange, time(changes.oldest_at)],
          [t.system.newestChange, time(changes.newest_at)]
        ]
      })}
      ${
        readServers.length > 0 &&
        h(Table<ReadServer>, {
          label: t.system.readServers,
          columns: readServerColumns(),
          rows: readServers,
          keyOf: ({ server }) => server
        })
      }`
  })
}

function Webhooks({ webhooks }: Pick<System, 'webhooks'>) {
  const mayOpen = useMay('admin')
  return h(Section, {
    title: t.navigation.webhooks,
    actions: mayOpen && html`<a href=${linkTo('/webhooks')}>${t.system.allWebhooks}</a>`,
    children: h(Facts, {
      facts: [
        [t.system.active, h(Count, { value: webhooks.active })],
        [t.system.pausedByRequest, h(Count, { value: webhooks.paused_by_request })],
        [t.system.pausedByService, h(Count, { value: webhooks.paused_by_service })],
        [t.system.largestLag, webhooks.active === 0 ? '–' : formatDuration(webhooks.max_lag_seconds)]
      ]
    })
  })
}

/** Says to those who don't see the page that the service has gone, or has come back. */
function useAnnouncements(readiness: Readiness): void {
  const isOutage = 'since' in readiness
  const wasOutage = readiness.is === 'ready' && readiness.outage !== undefined
  useEffect(() => {
    if (isOutage) announce(t.system.away)
    else if (wasOutage) announce(t.system.back)
  }, [isOutage, wasOutage])
}

/** What an operator looks at first: whether all is well, and if not, why. */
export function SystemPage() {
  const { client } = useSession()
  const readiness = useReadiness()
  const {
    value: system,
    error,
    reload
  } = usePoll('system', (options) => client.getSystem({ ...options, retries: 0 }))
  useAnnouncements(readiness)
  const isAway = 'since' in readiness
  useEffect(() => {
    if (!isAway) reload()
  }, [isAway])
  return h(Page, {
    title: t.system.title,
    children: html`
      ${h(SystemVerdict, { readiness, reasons: listReasons(readiness, system) })}
      ${
        // What the probe says too is said once.
        error !== undefined && !(isAway && isOutage(error)) && h(ErrorNotice, { error, onRetry: reload })
      }
      ${system === undefined && error === undefined && h(Skeleton, { lines: 8 })}
      ${
        system !== undefined &&
        html`
          ${h(Section, {
            title: t.system.inProgress,
            children: h(Table<Work>, {
              label: t.system.inProgress,
              columns: workColumns(),
              rows: listWork(system),
              keyOf: ({ name }) => name
            })
          })}
          ${h(Instances, { system })}
          ${h(Database, { system })}
          ${h(Webhooks, system)}`
      }
    `
  })
}
