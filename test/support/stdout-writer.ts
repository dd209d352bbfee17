/**
 * Writes to the log. With `suddenly`, it writes one line and exits at once. Otherwise it writes more lines than the
 * buffer holds, and one more when the parent sends a message.
 */
import { stdoutLog } from '../../src/telemetry/stdout-log.ts'

const LINES = 30_000
const padding = 'x'.repeat(1_000)

if (process.argv[2] === 'suddenly') {
  stdoutLog.write('{"line":0}\n')
  process.exit(1)
}

for (let line = 0; line < LINES; line += 1) stdoutLog.write(`${JSON.stringify({ line, padding })}\n`)
process.send?.({ written: LINES, lost: stdoutLog.lost })
process.once('message', async () => {
  stdoutLog.write(`${JSON.stringify({ line: LINES })}\n`)
  await stdoutLog.flush(30_000)
  process.exit()
})
