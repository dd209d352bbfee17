/** The service as `npm start` runs it. Sends its address, and ends when the benchmark ends. */

process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'))
const { address } = await import('../../src/server.ts')
process.send?.(address)
