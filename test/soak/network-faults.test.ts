/** The network between the service and PostgreSQL fails, for connections that are there and for those to come. */
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { type Fault, startFaultProxy } from '../support/fault-proxy.ts'
import { createDatabase } from '../support/service.ts'
import { survive } from './faults/survive.ts'
import { sized } from './form.ts'

/** In the long form longer than a request may take. */
const FAULT_MS = sized(1_500, 20_000)

const faults: Record<string, Fault> = {
  'connections are refused': 'refused',
  'connections are reset': 'reset',
  'nothing passes for a while': 'black hole',
  'connections die without a word': 'half-open',
  'everything comes half a second late': 'delay',
  '1 KB a second passes': 'trickle'
}

for (const [name, fault] of Object.entries(faults)) {
  t.test(name, async (t) => {
    const database = await createDatabase(t)
    const proxy = await startFaultProxy(t, database.url)
    await survive(t, {
      database,
      databaseUrl: proxy.url,
      // The creation of a segment has ten minutes.
      load: { segments: fault === 'refused' || fault === 'reset' },
      async fault() {
        await proxy.set(fault)
        await sleep(FAULT_MS)
        await proxy.set('none')
      }
    })
  })
}
