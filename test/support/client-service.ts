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
  proxy: HttpFaultProxy
  /** A client that reaches the service through the proxy. */
  createClient: (options?: Partial<ClientOptions>) => SegmentsClient
}

/** Starts a process of the service, and a proxy in front of it that simulates faults. */
export async function startClientService(t: Test, environment?: NodeJS.ProcessEnv): Promise<ClientService> {
  const proxy = await startHttpFaultProxy(t, await startProcess(t, environment))
  return { proxy, createClient: (options = {}) => new SegmentsClient({ url: proxy.url, ...options }) }
}
