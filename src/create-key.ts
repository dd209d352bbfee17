/** Creates an API key: `npm run key -- --name billing --role reader`. */
import { parseArgs } from 'node:util'
import { createApiKey, isRole } from './http/api-keys.ts'

function readArguments(): { name?: string; role?: string } {
  try {
    return parseArgs({ options: { name: { type: 'string' }, role: { type: 'string' } } }).values
  } catch {
    return {}
  }
}

const { name = '', role } = readArguments()
const key = isRole(role) ? createApiKey(name, role) : undefined
if (!key) {
  console.error(
    'Usage: npm run key -- --name <1 to 64 letters, digits, "_", "-" or "."> --role <reader, editor or admin>'
  )
  process.exit(1)
}
console.log(`Secret for the caller. It is not stored, and not shown again:
${key.secret}
Add to API_KEYS, separated from other keys by a comma:
${key.setting}`)
