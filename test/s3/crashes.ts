/** Instances crash, or are suspended, at each step of uploading a report to an object storage. */
import t, { type Test } from 'tap'
import { type Store, testCrashes } from '../support/crashes.ts'
import { waitUntil } from '../support/service.ts'
import { createBucket } from './bucket.ts'
import { type Operation, type StorageProxy, startStorageProxy } from './proxy.ts'

/** The proxy to the storage of the current test. */
let proxy: StorageProxy

async function openBucket(t: Test): Promise<Store> {
  const bucket = await createBucket(t)
  proxy = await startStorageProxy(t, bucket.endpoint)
  return {
    environment: {
      ...bucket.configuration(proxy.url),
      AWS_ACCESS_KEY_ID: process.env.AWS_ACCESS_KEY_ID,
      AWS_SECRET_ACCESS_KEY: process.env.AWS_SECRET_ACCESS_KEY
    },
    finished: async () => (await bucket.objects()).filter((name) => !name.startsWith('check.')),
    unfinished: async () => (await bucket.uploads()).filter((name) => !name.startsWith('check.'))
  }
}

// Two parts.
const setScene = await testCrashes(t, openBucket, 150_000)

for (const operation of ['UploadPart', 'CompleteUpload'] satisfies Operation[])
  t.test(`killed during its request ${operation}`, async (t) => {
    const scene = await setScene(t)
    const instance = scene.startInstance()
    await instance.address()
    proxy.seen.length = 0
    proxy.fail(operation, 'hang', 1)
    await scene.order(instance)
    await waitUntil(
      async () => proxy.seen,
      (seen) => seen.includes(operation)
    )
    t.equal((await scene.store.unfinished()).length, 1, 'an upload exists')
    t.same(await scene.store.finished(), [])
    await scene.checkTakeover(instance)
  })

t.test('an instance that stops hands the report back, and leaves no part', async (t) => {
  const scene = await setScene(t, '1m')
  const instance = scene.startInstance()
  await instance.address()
  proxy.seen.length = 0
  proxy.fail('UploadPart', 'hang', 1)
  await scene.order(instance)
  await waitUntil(
    async () => proxy.seen,
    (seen) => seen.includes('UploadPart')
  )
  instance.process.kill('SIGTERM')
  t.equal(await instance.exitCode(), 0)
  t.match(await scene.row(), { status: 'queued', attempt: 0 })
  t.same([await scene.store.finished(), await scene.store.unfinished()], [[], []])
  await scene.checkReady(scene.startInstance())
})
