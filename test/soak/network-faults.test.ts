/** The network between the service and PostgreSQL fails, for existing and for new connections. */
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { createCertificate } from '../support/certificate.ts'
import { type Fault, startFaultProxy } from '../support/fault-proxy.ts'
import { createDatabase } from '../support/service.ts'
import { survive } from './faults/survive.ts'
import { sized } from './form.ts'

/** In the long form, longer than the deadline of a request. */
const FAULT_MS = sized(1_500, 20_000)

const faults: Record<string, Fault> = {
  'connections are refused': 'refused',
  'connections are reset': 'reset',
  'nothing passes for a while': 'black hole',
  'connections die silently': 'half-open',
  'everything comes half a second late': 'delay',
  '1 KB a second passes': 'trickle'
}

const encryptedFaults: Record<string, Fault> = {
  'encrypted connections are reset': 'reset',
  'encrypted connections die without a word': 'half-open'
}

for (const [name, fault] of Object.entries({ ...faults, ...encryptedFaults })) {
  t.test(name, async (t) => {
    const database = await createDatabase(t)
    const proxy = await startFaultProxy(
      t,
      database.url,
      name in encryptedFaults ? createCertificate() : undefined
    )
    await survive(t, {
      database,
      databaseUrl: proxy.url,
      // Creating a segment may take ten minutes.
      load: { segments: fault === 'refused' || fault === 'reset' },
      async fault() {
        await proxy.set(fault)
        await sleep(FAULT_MS)
        await proxy.set('none')
      }
    })
  })
}
