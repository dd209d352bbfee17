/** Instances crash, or are suspended, at each step of generating a report in a folder. */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type Store, testCrashes } from '../support/crashes.ts'
import { startFaultProxy } from '../support/fault-proxy.ts'
import { holdTable, waitForBlocked } from '../support/locks.ts'
import { createFolder, waitUntil } from '../support/service.ts'

async function openFolder(t: Test): Promise<Store> {
  const folder = await createFolder(t)
  const size = (name: string) =>
    stat(join(folder, name)).then(
      (stats) => stats.size,
      () => 0
    )
  return {
    environment: { REPORTS_DIR: folder },
    finished: async () => (await readdir(folder)).filter((name) => !name.startsWith('.')),
    async unfinished() {
      const names = (await readdir(folder)).filter((name) => name.startsWith('.'))
      const sizes = await Promise.all(names.map(size))
      return names.filter((_, index) => sizes[index] !== 0)
    }
  }
}

const setScene = await testCrashes(t, openFolder, 60_000)

t.test('killed while it writes', async (t) => {
  const scene = await setScene(t)
  const proxy = await startFaultProxy(t, scene.database.url)
  const release = await holdTable(t, scene.database, 'memberships')
  const instance = scene.startInstance(proxy.url)
  await scene.order(instance)
  await waitForBlocked(scene.database, 1, 'user-segments report')
  // Delays each part of the history, so that writing takes long enough.
  await proxy.set('delay')
  await release()
  await waitUntil(
    () => scene.store.unfinished(),
    ({ length }) => length > 0
  )
  instance.process.kill('SIGSTOP')
  t.same(await scene.store.finished(), [])
  await scene.checkTakeover(instance)
})
