/**
 * Runs the long form of the tests in this folder: `npm run test:soak`, or one of them by
 * `npm run test:soak -- test/soak/fuzz.test.ts`. Otherwise it is the same as `npm test`.
 */
import { readdir } from 'node:fs/promises'

const given = process.argv.slice(2)
const names = await readdir(import.meta.dirname)
const files =
  given.length > 0
    ? given
    : names.filter((name) => name.endsWith('.test.ts')).map((name) => `test/soak/${name}`)
process.env.SOAK = '1'
// One at a time, so that the tests do not disturb each other's measurements.
process.argv.splice(2, given.length, '--disable-coverage', '--jobs=1', '--timeout=7200', ...files)
await import('../run.ts')
