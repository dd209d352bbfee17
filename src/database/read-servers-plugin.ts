import fp from 'fastify-plugin'
import { READ_CONNECTIONS, READ_SERVER_CHECK_MS, READ_SERVER_TIMEOUT_MS } from '../limits.ts'
import { BackgroundJob } from './background-job.ts'
import { connectDatabase } from './connect.ts'
import { nameConnections } from './instance.ts'
import { SHORT_STATEMENT_SETTINGS } from './pools.ts'
import { PrimaryWatch } from './primary-watch.ts'
import { ReadServer } from './read-server.ts'
import { ReadServers } from './read-servers.ts'
import { type DatabaseTarget, readServerUrls } from './url.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Answers membership lookups: with the read servers, if there are any, and DATABASE_URL. */
    readServers: ReadServers
  }
}

type ReadServersPluginOptions = {
  /** The URLs of the read servers, separated by commas. */
  urls: string | undefined
  /** Milliseconds by which a lookup without a token may be behind; 0: never. */
  staleness: number
}

export const readServersPlugin = fp<ReadServersPluginOptions>(
  async (app, { urls, staleness }) => {
    const primary = new PrimaryWatch(app.reads, Math.max(staleness, 2 * READ_SERVER_CHECK_MS))
    const connect = (target: DatabaseTarget): ReadServer => {
      const name = target.hosts.map(({ host, port }) => `${host}:${port}`).join()
      const options = {
        lockTimeout: READ_SERVER_TIMEOUT_MS,
        statementTimeout: READ_SERVER_TIMEOUT_MS,
        settings: SHORT_STATEMENT_SETTINGS
      }
      const observer = app.metrics.watchPool(`reads ${name}`, READ_CONNECTIONS)
      const reads = { ...options, name: nameConnections('reads'), connections: READ_CONNECTIONS, observer }
      const probes = { ...options, name: nameConnections('probes'), connections: 1 }
      return new ReadServer({
        name,
        pool: connectDatabase(target, reads),
        probe: connectDatabase(target, probes),
        primary,
        staleness,
        log: app.log
      })
    }
    const servers = urls === undefined ? [] : readServerUrls(urls).map(connect)
    const checks = new BackgroundJob({
      name: 'read servers',
      share: 1,
      poll: READ_SERVER_CHECK_MS,
      step: async () => {
        // Servers are checked without the primary too: a standby may have seen a token, and nodes of Citus still serve.
        await primary.check().catch(() => {})
        await Promise.all(servers.map((server) => server.check()))
        return false
      },
      log: app.log
    })
    app.metrics.watchReadServers(servers)
    app.decorate(
      'readServers',
      new ReadServers({
        reads: app.reads,
        servers,
        start: () => checks.start(),
        countAnswer: (server) => app.metrics.membershipReads.inc({ server })
      })
    )
    app.addHook('onListen', async () => {
      if (servers.length > 0) checks.start()
    })
    app.addHook('onClose', async () => {
      // A check in progress ends with its connections.
      void checks.stop()
      await Promise.all(servers.map((server) => server.end()))
    })
  },
  { name: 'read-servers', dependencies: ['database'] }
)
