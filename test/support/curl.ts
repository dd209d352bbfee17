/** The part of curl that README and docs use, with curl's options. It waits for a report that is in progress. */
import { createReadStream } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { parseArgs } from 'node:util'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    request: { type: 'string', short: 'X' },
    header: { type: 'string', short: 'H', multiple: true, default: [] },
    data: { type: 'string', short: 'd' },
    form: { type: 'string', short: 'F' },
    'upload-file': { type: 'string', short: 'T' },
    fail: { type: 'boolean' },
    silent: { type: 'boolean', short: 's' },
    retry: { type: 'string' },
    'retry-all-errors': { type: 'boolean' },
    output: { type: 'string', short: 'o' },
    'write-out': { type: 'string', short: 'w', default: '' }
  }
})
const [url = ''] = positionals
const headers = values.header.map((header) => header.split(/: */, 2) as [string, string])

/** The content of a file, or stdin. */
function openUpload(): ReadableStream | undefined {
  const file = values['upload-file']
  if (file === undefined) return undefined
  return Readable.toWeb(file === '-' ? process.stdin : createReadStream(file)) as ReadableStream
}

/** A form with the file on stdin, from an argument such as `file=@-;filename=users.csv`. */
async function readForm(argument: string): Promise<FormData> {
  const { field = '', name = '' } = /^(?<field>\w+)=@-;filename=(?<name>.+)$/.exec(argument)?.groups ?? {}
  const form = new FormData()
  form.append(field, new Blob([await buffer(process.stdin)]), name)
  return form
}

const upload = values.form === undefined ? (openUpload() ?? values.data ?? null) : await readForm(values.form)
const method = values.request ?? (values.form === undefined ? 'GET' : 'POST')

async function send(): Promise<{ status: number; answered: Headers; body: string }> {
  const answer = await fetch(url, { method, headers, body: upload, duplex: 'half' })
  const text = await answer.text()
  return answer.status === 404 && text.includes('"REPORT_PENDING"')
    ? send()
    : { status: answer.status, answered: answer.headers, body: text }
}

const { status, answered, body } = await send()
if (values.output) await writeFile(values.output, body)
else process.stdout.write(body)
process.stdout.write(
  values['write-out']
    .replace('%{http_code}', String(status))
    .replace(/%header\{([^}]+)\}/g, (_, name: string) => answered.get(name) ?? '')
    .replaceAll('\\n', '\n')
)
