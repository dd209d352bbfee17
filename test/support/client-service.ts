import type { Test } from 'tap'
import { type ClientOptions, SegmentsClient } from '../../client/src/index.ts'
import { type HttpFaultProxy, startHttpFaultProxy } from './http-fault-proxy.ts'
import { startServerProcess } from './server-process.ts'
import { createDatabase, createFolder, type TestDatabase } from './service.ts'

/** Starts a process of the service with a folder of its own. Returns its address. */
export async function startProcess(
  t: Test,
  environment: NodeJS.ProcessEnv = {},
  given?: TestDatabase
): Promise<string> {
  const database = given ?? (await createDatabase(t))
  const reportsDirectory = await createFolder(t)
  const server = startServerProcess(t, {
    DATABASE_URL: database.url,
    PORT: '0',
    REPORTS_DIR: reportsDirectory,
    ...environment
  })
  return server.address()
}

export type ClientService = {
  /** The address of the service itself. */
  address: string
  proxy: HttpFaultProxy
  database: TestDatabase
  /** A client that reaches the service through the proxy. */
  createClient: (options?: Partial<ClientOptions>) => SegmentsClient
}

/** Starts a process of the service, and a proxy in front of it that simulates faults. */
export async function startClientService(t: Test, environment?: NodeJS.ProcessEnv): Promise<ClientService> {
  const database = await createDatabase(t)
  const address = await startProcess(t, environment, database)
  const proxy = await startHttpFaultProxy(t, address)
  return {
    address,
    proxy,
    database,
    createClient: (options = {}) => new SegmentsClient({ url: proxy.url, ...options })
  }
}
