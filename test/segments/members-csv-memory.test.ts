import { text } from 'node:stream/consumers'
import t from 'tap'
import { residentMegabytes } from '../support/metrics.ts'
import { expectedMany, insertMany, openUsers, waitForStalled } from '../support/segment-users.ts'
import { startServerProcess } from '../support/server-process.ts'
import { createDatabase } from '../support/service.ts'

t.test('slow clients cost no memory', async (t) => {
  const database = await createDatabase(t)
  await insertMany(database)
  const server = startServerProcess(t, { DATABASE_URL: database.url, PORT: '0' })
  const address = await server.address()
  for (let round = 0; round < 3; round += 1)
    t.equal((await text((await openUsers(address)).response)).length, expectedMany().length)
  const before = await residentMegabytes(address)
  const clients = await Promise.all(Array.from({ length: 4 }, () => openUsers(address)))
  await waitForStalled(database, 4)
  const growth = (await residentMegabytes(address)) - before
  t.ok(growth < 30, `${growth} MB for what is 46 MB whole`)
  for (const { response } of clients) t.ok((await text(response)) === expectedMany())
})
