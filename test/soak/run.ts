/**
 * Runs the long form of the tests in this folder: `npm run test:soak`, or one of them by
 * `npm run test:soak -- test/soak/fuzz.test.ts`. Otherwise it is the same as `npm test`.
 */
const files = process.argv.slice(2)
process.env.SOAK = '1'
// One at a time, so that the tests do not disturb each other's measurements.
process.argv.splice(
  2,
  files.length,
  '--disable-coverage',
  '--jobs=1',
  '--timeout=7200',
  ...(files.length > 0 ? files : ['test/soak'])
)
await import('../run.ts')
