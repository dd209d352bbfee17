/**
 * Runs the tests of routes, the model test and the test of concurrency on databases that are distributed over a Citus
 * cluster: `npm run test:citus`, or some files by `npm run test:citus -- test/reports/reports.test.ts`. The databases
 * are created by the tests, and dropped. `CITUS_URL` names a database of the coordinator, to which the workers have been
 * added.
 */
import { readdir } from 'node:fs/promises'

const { CITUS_URL } = process.env
if (!CITUS_URL) {
  console.error('CITUS_URL must name a database of the coordinator of a Citus cluster')
  process.exit(2)
}
process.env.TEST_CITUS_URL = CITUS_URL
const files = process.argv.slice(2)
const own = (await readdir(new URL('.', import.meta.url))).filter((name) => name.endsWith('.test.ts'))
process.argv.splice(
  2,
  files.length,
  '--disable-coverage',
  '--timeout=600',
  ...(files.length > 0
    ? files
    : [
        // By name, because the ordinary tests exclude this folder.
        ...own.map((name) => `test/citus/${name}`),
        'test/segments',
        'test/memberships',
        'test/imports',
        'test/reports',
        // The other tests of the feed need one moment for all nodes, or a second server.
        'test/changes/changes.test.ts',
        'test/changes/concurrency.test.ts',
        'test/changes/retention.test.ts',
        'test/soak/model.test.ts',
        'test/soak/concurrency.test.ts',
        'test/soak/groups.test.ts'
      ])
)
await import('../run.ts')
