import type { System } from '../client/src/index.ts'
import { formatCount, formatDuration } from './language.ts'
import type { Readiness } from './readiness.ts'
import { t } from './texts.ts'

export type Severity = 'good' | 'warn' | 'bad'

export type Reason = { severity: Exclude<Severity, 'good'>; text: string; path?: string }

/** Seconds. Those of the alert rules in `ops`. */
const MAX_AGE_SECONDS = 900

function judgeQueue(
  name: 'fillings' | 'reports',
  { failed, oldest_queued_seconds }: System['fillings']
): Reason[] {
  const texts = t.system.reasons[name]
  return [
    ...(failed > 0 ? [{ severity: 'warn' as const, text: texts.failed(formatCount(failed)) }] : []),
    ...(oldest_queued_seconds > MAX_AGE_SECONDS
      ? [{ severity: 'warn' as const, text: texts.late(formatDuration(oldest_queued_seconds)) }]
      : [])
  ]
}

/** What is not as it should be, the worst first. */
export function listReasons(readiness: Readiness, system: System | undefined): Reason[] {
  const texts = t.system.reasons
  const reasons: Reason[] = []
  const add = (severity: Reason['severity'], text: string, path?: string) =>
    void reasons.push({ severity, text, ...(path !== undefined && { path }) })
  // While it does not answer, the rest is not known.
  if (readiness.is === 'away' || readiness.is === 'refusing' || !system) return reasons
  const { migrations, webhooks, database, instance } = system
  if (migrations.missing.length > 0) add('bad', texts.migrations(migrations.missing.join(', ')))
  if (webhooks.paused_by_service > 0)
    add('bad', texts.webhooksPaused(formatCount(webhooks.paused_by_service)), '/webhooks')
  if (webhooks.max_lag_seconds > MAX_AGE_SECONDS)
    add('warn', texts.webhooksBehind(formatDuration(webhooks.max_lag_seconds)), '/webhooks')
  reasons.push(...judgeQueue('fillings', system.fillings), ...judgeQueue('reports', system.reports))
  const out = database.read_servers.filter(({ serving }) => !serving)
  if (out.length > 0) add('warn', texts.readServers(out.map(({ server }) => server).join(', ')))
  if (instance.state === 'shutting_down') add('warn', texts.shuttingDown(instance.host))
  return reasons
}

export function judge(readiness: Readiness, reasons: readonly Reason[]): Severity | 'unknown' {
  if (readiness.is === 'away' || readiness.is === 'refusing') return 'bad'
  if (readiness.is === 'checking') return 'unknown'
  if (reasons.some(({ severity }) => severity === 'bad')) return 'bad'
  return reasons.length > 0 ? 'warn' : 'good'
}
