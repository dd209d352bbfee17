/** Generates requests from the document: some are valid, most are nearly valid. */
import * as fc from 'fast-check'
import type { Operation, Parameter, Schema } from './document.ts'
import { contentTypes, encodeWhole, hostileJson, hostileText, strangeHeaders } from './hostile.ts'

const MIB = 2 ** 20

export class FuzzRequest {
  readonly method: string
  readonly url: string
  readonly headers: Record<string, string>
  readonly body: string | undefined

  constructor(method: string, url: string, headers: Record<string, string>, body: string | undefined) {
    this.method = method
    this.url = url
    this.headers = headers
    this.body = body
  }

  toString(): string {
    const body = this.body === undefined ? '' : ` ${this.body.length} bytes: ${shorten(this.body)}`
    return `${this.method} ${shorten(this.url)} ${shorten(JSON.stringify(this.headers))}${body}`
  }
}

function shorten(text: string): string {
  return text.length > 500 ? `${text.slice(0, 500)}…` : text
}

/** Mostly the first, sometimes the second. */
function mostly<T>(usual: fc.Arbitrary<T>, strange: fc.Arbitrary<T>, weight = 8): fc.Arbitrary<T> {
  return fc.oneof({ weight, arbitrary: usual }, { weight: 1, arbitrary: strange })
}

/** Strings that match a schema, as far as possible. */
function textOf(
  { anyOf, format, pattern, examples = [], minLength, maxLength }: Schema,
  example?: unknown
): fc.Arbitrary<string> {
  if (anyOf) return fc.oneof(...anyOf.map((schema) => textOf(schema, example)))
  const known = [...examples, example].filter((text) => typeof text === 'string')
  const fitting: fc.Arbitrary<string>[] = known.map((text) => fc.constant(text))
  if (format === 'date') fitting.push(fc.integer({ min: -200, max: 21_000 }).map(dayAfterEpoch))
  else if (format === 'date-time') fitting.push(times)
  else if (format === 'day-or-time')
    fitting.push(times, fc.integer({ min: -200, max: 21_000 }).map(dayAfterEpoch))
  else if (pattern && !pattern.includes('(?')) {
    const length = { minLength: minLength ?? 0, maxLength: maxLength ?? 100 }
    const matching = fc.stringMatching(new RegExp(pattern), { maxLength: length.maxLength })
    fitting.push(matching)
  } else if (known.length === 0) fitting.push(fc.string({ maxLength: maxLength ?? 20 }))
  return fc.oneof(...fitting)
}

function dayAfterEpoch(days: number): string {
  return new Date(days * 86_400_000).toISOString().slice(0, 10)
}

const digits = (length: number, max: number) =>
  fc.integer({ min: 0, max }).map((value) => String(value).padStart(length, '0'))

/** Times from the earliest to beyond the latest possible one, with any offset. */
const times = fc
  .tuple(
    fc.oneof(digits(4, 9999), fc.constantFrom('0001', '1969', '2100', '9999')),
    fc.constantFrom('-01-01T', '-02-29T', '-12-31T'),
    fc.oneof(
      fc.constantFrom('00:00:00', '23:59:59'),
      digits(2, 24).map((hour) => `${hour}:30:00`)
    ),
    fc.oneof(
      fc.constantFrom('', '.999999999', '.9999995'),
      digits(9, 999_999_999).map((nanos) => `.${nanos}`)
    ),
    fc.oneof(
      fc.constant('Z'),
      fc.tuple(fc.constantFrom('+', '-'), digits(2, 23)).map(([sign, hours]) => `${sign}${hours}:59`)
    )
  )
  .map((parts) => parts.join(''))

/** JSON text of values that nearly match a schema: any part may be replaced. */
function jsonOf(schema: Schema): fc.Arbitrary<string> {
  return mostly(fittingJson(schema), hostileJson, 15)
}

function fittingJson(schema: Schema): fc.Arbitrary<string> {
  const constants = schema.enum ?? (schema.const === undefined ? undefined : [schema.const])
  if (constants) return fc.constantFrom(...constants.map((value) => JSON.stringify(value)))
  if (schema.anyOf) return fc.oneof(...schema.anyOf.map(jsonOf))
  if (Array.isArray(schema.type))
    return fc.oneof(...schema.type.map((type) => fittingJson({ ...schema, type })))
  switch (schema.type) {
    case 'null':
      return fc.constant('null')
    case 'string':
      return textOf(schema).map((text) => JSON.stringify(text))
    case 'integer':
      return fc
        .integer({ min: schema.minimum ?? -(2 ** 31), max: schema.maximum ?? 2 ** 31 })
        .map((value) => JSON.stringify(value))
    case 'number':
      return fc
        .double({ min: schema.minimum ?? -1e9, max: schema.maximum ?? 1e9, noNaN: true })
        .map((value) => JSON.stringify(value))
    case 'boolean':
      return fc.constantFrom('true', 'false')
    case 'array':
      return arrayJson(schema)
    case 'object':
      return objectJson(schema)
    default:
      return hostileJson
  }
}

function arrayJson({ items = {}, minItems = 0, maxItems = 10_000 }: Schema): fc.Arbitrary<string> {
  const few = fc.array(jsonOf(items), { minLength: minItems, maxLength: Math.min(maxItems, 6) })
  const tooMany = fittingJson(items).map((item) => Array.from({ length: maxItems + 1 }, () => item))
  return mostly(few, tooMany, 30).map((elements) => `[${elements.join()}]`)
}

function objectJson({ properties = {}, required = [] }: Schema): fc.Arbitrary<string> {
  const fields = Object.entries(properties).map(([name, schema]) => {
    const field = jsonOf(schema).map((json) => [`${JSON.stringify(name)}:${json}`])
    const twice = fc.tuple(field, field).map((two) => two.flat())
    const present = mostly(field, twice, 20)
    return required.includes(name)
      ? mostly(present, fc.constant([]), 15)
      : mostly(present, fc.constant([]), 3)
  })
  const unknown = fc
    .tuple(
      fc.constantFrom('"x"', '"__proto__"', '"constructor"', '""', '"slug "', '"toString"', '"id"'),
      hostileJson
    )
    .map(([name, json]) => [`${name}:${json}`])
  return fc
    .tuple(...fields, mostly(fc.constant<string[]>([]), unknown, 15))
    .map((parts) => `{${parts.flat().join()}}`)
}

/** Corruptions of a body. */
const spoilings: ((json: string) => string)[] = [
  () => '',
  () => ' ',
  (json) => json.slice(0, -1),
  (json) => json.slice(0, json.length / 2),
  (json) => `${json}x`,
  (json) => `${json}${json}`,
  (json) => `\ufeff${json}`,
  (json) => `${json}\0`,
  (json) => `[${json}]`,
  (json) => json.replaceAll('"', "'"),
  (json) => json.replace(/^\{/, '{"__proto__":{"selection":1},'),
  (json) => json.replace(/^\{/, '{"constructor":{"prototype":{"x":1}},'),
  (json) => json.padEnd(MIB, ' '),
  (json) => json.padEnd(MIB + 1, ' '),
  () => '['.repeat(100_000),
  () => 'slug=A&selection=1',
  () => '\u00ff\u00fe'
]

type Content = { type: string | undefined; body: string | undefined }

/** The content type: mostly the right one, sometimes another one, a corrupt one, or none. */
function contentOf(type: string, body: fc.Arbitrary<string>): fc.Arbitrary<Content> {
  const spoilt = fc.tuple(body, fc.constantFrom(...spoilings)).map(([text, spoil]) => spoil(text))
  return fc.record({
    type: mostly<string | undefined>(fc.constant(type), contentTypes),
    body: mostly<string | undefined>(body, mostly<string | undefined>(spoilt, fc.constant(undefined), 15), 5)
  })
}

/** Lines that are nearly like those of the example. */
function linesLike(example: string): fc.Arbitrary<string> {
  const [first = '', ...lines] = example.split('\n')
  const line = mostly(
    fc.oneof(fc.constantFrom(...lines), fc.bigInt({ min: 1n, max: 2n ** 63n - 1n }).map(String)),
    fc.oneof(hostileJson, fc.string({ unit: 'binary' })),
    20
  )
  return fc.tuple(mostly(fc.constant(first), line), fc.array(line)).map((parts) => parts.flat().join('\n'))
}

function bodyOf({ body, uploads }: Operation): fc.Arbitrary<Content> {
  if (!body)
    return fc.record({
      type: mostly<string | undefined>(fc.constant(undefined), contentTypes, 15),
      body: mostly<string | undefined>(fc.constant(undefined), hostileJson, 15)
    })
  const json = fc.oneof(
    { weight: 4, arbitrary: jsonOf(body.schema) },
    { weight: 1, arbitrary: fc.constant(JSON.stringify(body.example ?? {})) }
  )
  const contents = [...uploads].map(([type, example]) => contentOf(type, linesLike(example)))
  return fc.oneof(contentOf('application/json', json), ...contents)
}

/** The value of a parameter, as written into the URL. */
function parameterText({ schema, example }: Parameter): fc.Arbitrary<string> {
  const fitting = schema.type === 'string' ? textOf(schema, example) : fittingJson(schema)
  return mostly(fitting.map(encodeWhole), hostileText, 5)
}

function queryOf(parameters: Parameter[]): fc.Arbitrary<string> {
  const named = parameters.map((parameter) => {
    const one = parameterText(parameter).map((text) => [`${parameter.name}=${text}`])
    const twice = fc.tuple(one, one).map((two) => two.flat())
    const odd = fc.oneof(twice, fc.constant<string[]>([]), fc.constant<string[]>([parameter.name]))
    const present = mostly(one, odd, 12)
    return parameter.required ? present : mostly<string[]>(fc.constant([]), present, 2)
  })
  const unknown = fc
    .tuple(fc.constantFrom('x', '__proto__', 'constructor', 'from[]', '%00', '%', ''), hostileText)
    .map(([name, text]) => [`${name}=${text}`])
  return fc
    .tuple(...named, mostly(fc.constant<string[]>([]), unknown, 12))
    .map((parts) => parts.flat())
    .map((pairs) => (pairs.length > 0 ? `?${pairs.join('&')}` : ''))
}

function pathOf({ path, parameters }: Operation): fc.Arbitrary<string> {
  const inPath = parameters.filter((parameter) => parameter.in === 'path')
  return fc
    .tuple(
      ...inPath.map(parameterText),
      mostly(fc.constant(''), fc.constantFrom('/', '//', '/.', '/x', '%2f'), 15)
    )
    .map((texts) => {
      const filled = inPath.reduce(
        (url, { name }, index) => url.replace(`{${name}}`, () => texts[index] ?? ''),
        path
      )
      return filled + (texts.at(-1) ?? '')
    })
}

function headersOf({ parameters }: Operation): fc.Arbitrary<Record<string, string>> {
  const named = parameters
    .filter((parameter) => parameter.in === 'header')
    .map(({ name, schema, example }) =>
      fc.option(textOf(schema, example)).map((text) => (text === null ? {} : { [name]: text }))
    )
  return fc
    .tuple(mostly<Record<string, string>>(fc.constant({}), strangeHeaders, 10), ...named)
    .map((parts) => Object.assign({}, ...parts))
}

/** Requests of one operation. */
export function requestOf(operation: Operation): fc.Arbitrary<FuzzRequest> {
  const query = queryOf(operation.parameters.filter((parameter) => parameter.in === 'query'))
  const method = mostly(
    fc.constant(operation.method),
    // Not for DELETE: it would delete the examples, which later requests need.
    fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'OPTIONS', 'QUERY'),
    40
  )
  return fc
    .tuple(method, pathOf(operation), query, headersOf(operation), bodyOf(operation))
    .map(([method, path, query, headers, { type, body }]) => {
      const typed = type === undefined ? headers : { 'content-type': type, ...headers }
      return new FuzzRequest(method, `${path}${query}`, typed, body)
    })
}
