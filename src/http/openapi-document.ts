/** Improves the OpenAPI document that @fastify/swagger generates, for readers and for client generators. */

import { PROBLEM_TYPE, ProblemSchema } from '../../schemas/problems.ts'
import { isJsonObject, type JsonObject } from './json-object.ts'

/** The order in which a newcomer tries the operations: each uses what earlier operations have created. */
const pathOrder = [
  '/api/v1/segment',
  '/api/v1/segments',
  '/api/v1/segments/user/{user_id}',
  '/api/v1/segments/users/query',
  '/api/v1/segments/user/{user_id}/history',
  '/api/v1/segments/user/{user_id}/memberships',
  '/api/v1/segment/{slug}/users/{user_id}',
  '/api/v1/users',
  '/api/v1/segment/{slug}/users.csv',
  '/api/v1/segment/{slug}/users',
  '/api/v1/segment/{slug}/sizes',
  '/api/v1/segment/{slug}/history',
  '/api/v1/segments/count',
  '/api/v1/segment/{slug}',
  '/api/v1/groups',
  '/api/v1/groups/{slug}/overlap',
  '/api/v1/groups/{slug}',
  '/api/v1/changes',
  '/api/v1/changes/stream',
  '/api/v1/webhooks',
  '/api/v1/webhooks/{id}',
  '/ofrep/v1/evaluate/flags/{slug}',
  '/ofrep/v1/evaluate/flags',
  '/api/v1/segments/user/{user_id}/csv',
  '/api/v1/segments/user/history/{filename}/status',
  '/api/v1/segments/user/history/{filename}',
  '/api/v1/reports',
  '/api/v1/reports/{filename}/status',
  '/api/v1/reports/{filename}',
  '/api/v1/users/count',
  '/api/v1/users/{user_id}',
  '/api/v1/key',
  '/api/v1/system',
  '/health/live',
  '/health/ready',
  '/metrics',
  '/openapi.json'
]
const methodOrder = ['post', 'get', 'put', 'patch', 'delete']

/** Keywords that do not affect which values a schema accepts. */
const annotations = ['description', 'examples']
/** Keywords whose values are not schemas. */
const valueKeywords = ['default', 'enum', 'example', 'examples']

/** Adds to each error of an operation that it may also be answered as a problem. */
function addProblems({ responses }: JsonObject): void {
  for (const { content } of nodesIn(responses))
    if (isJsonObject(content) && JSON.stringify(content['application/json'])?.includes('"code"'))
      content[PROBLEM_TYPE] = { schema: ProblemSchema }
}

function nodesIn(value: unknown): JsonObject[] {
  return isJsonObject(value) ? Object.values(value).filter(isJsonObject) : []
}

function sortedEntries(node: JsonObject, order: readonly string[]): [string, unknown][] {
  return Object.entries(node).toSorted(([a], [b]) => order.indexOf(a) - order.indexOf(b))
}

function describesSame(schema: JsonObject, other: JsonObject): boolean {
  const [rules, otherRules] = [schema, other].map((each) =>
    JSON.stringify(Object.entries(each).filter(([keyword]) => !annotations.includes(keyword)))
  )
  return rules === otherRules
}

/**
 * Collects the schemas that have a title, and replaces them with references. `x-expected`, which holds the wording of
 * error messages, is dropped.
 */
class NamedSchemas {
  readonly #schemas = new Map<string, JsonObject>()

  /** @throws {Error} if two different schemas have the same title. */
  replace(value: unknown): unknown {
    if (Array.isArray(value)) return value.map((element) => this.replace(element))
    if (!isJsonObject(value)) return value
    const copy: JsonObject = {}
    for (const [key, child] of Object.entries(value))
      if (key !== 'x-expected') copy[key] = valueKeywords.includes(key) ? child : this.replace(child)
    const { title, ...schema } = copy
    if (typeof title !== 'string') return copy
    const known = this.#schemas.get(title)
    if (known && !describesSame(known, schema)) throw new Error(`two schemas have the title ${title}`)
    // @fastify/swagger moves the description of a parameter out of its schema.
    if (known?.['description'] === undefined) this.#schemas.set(title, schema)
    return { $ref: `#/components/schemas/${title}` }
  }

  /** The schema that a reference names, or the schema itself. */
  resolve(schema: JsonObject): JsonObject {
    const { $ref } = schema
    const name = typeof $ref === 'string' ? $ref.slice('#/components/schemas/'.length) : ''
    return this.#schemas.get(name) ?? schema
  }

  toObject(): JsonObject {
    return sortByName([...this.#schemas])
  }
}

/** A part of the document, and a function that replaces it with a reference. */
type Place = {
  part: JsonObject
  /** The key of the part in an object. */
  key?: string
  replace: (reference: JsonObject) => void
}

/**
 * Replaces parts that appear more than once with references. If different parts have the same name, only the first one
 * that repeats is shared.
 *
 * @returns the shared parts by name.
 */
function shareParts(
  section: string,
  places: Place[],
  nameOf: (part: JsonObject, key: string | undefined) => string | undefined
): JsonObject {
  const seen = new Set<string>()
  const shared = new Map<string, { text: string; part: JsonObject }>()
  const named = places.flatMap(({ part, key, replace }) => {
    const name = nameOf(part, key)
    return name === undefined ? [] : [{ name, part, replace, text: JSON.stringify(part) }]
  })
  for (const { name, part, text } of named) {
    if (seen.has(text) && !shared.has(name)) shared.set(name, { text, part })
    seen.add(text)
  }
  for (const { name, replace, text } of named)
    if (shared.get(name)?.text === text) replace({ $ref: `#/components/${section}/${name}` })
  return sortByName([...shared].map(([name, { part }]) => [name, part]))
}

function sortByName(entries: [string, unknown][]): JsonObject {
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

function placesIn(container: unknown): Place[] {
  if (Array.isArray(container))
    return container.filter(isJsonObject).map((part, index) => ({
      part,
      replace: (reference) => {
        container[index] = reference
      }
    }))
  if (!isJsonObject(container)) return []
  return Object.entries(container).flatMap(([key, part]) =>
    isJsonObject(part)
      ? [{ part, key, replace: (reference: JsonObject) => Object.assign(container, { [key]: reference }) }]
      : []
  )
}

/** The name of a failure: the name of its schema, without `Error`. */
function failureName({ content }: JsonObject): string | undefined {
  return /"#\/components\/schemas\/(\w+)Error"/.exec(JSON.stringify(content ?? null))?.[1]
}

/** `UserId` for `user_id`, `XRequestId` for `x-request-id`. */
function toTypeName(name: string): string {
  return name.replace(/(?:^|[_-])(\w)/g, (_, letter: string) => letter.toUpperCase())
}

/**
 * Moves the example of an optional parameter to its schema. Swagger UI fills in the example of a parameter, but not those
 * of its schema, so optional parameters stay empty. Those with `x-fill` are filled in: the operation needs them, or others
 * in their place.
 */
function tidyParameter(parameter: JsonObject, schemas: NamedSchemas): void {
  const { schema: given, example } = parameter
  if (!isJsonObject(given)) return
  const schema = schemas.resolve(given)
  // A parameter with a default is always present for the handler, but callers may omit it.
  const isRequired = parameter['required'] === true && !('default' in schema)
  if (isRequired) return
  delete parameter['required']
  const isFilled = schema['x-fill'] === true
  delete schema['x-fill']
  if (isFilled) return
  delete parameter['example']
  schema['examples'] = [example]
}

/** Changes the document in place. */
export function tidyDocument(document: { paths?: object; components?: object }): void {
  const schemas = new NamedSchemas()
  const paths: JsonObject = {}
  for (const [path, methods] of sortedEntries({ ...document.paths }, pathOrder)) {
    if (!isJsonObject(methods)) continue
    for (const operation of nodesIn(methods)) addProblems(operation)
    paths[path] = Object.fromEntries(
      sortedEntries(methods, methodOrder).map(([method, operation]) => [method, schemas.replace(operation)])
    )
  }
  const operations = nodesIn(paths).flatMap(nodesIn)
  const parameters = operations.flatMap((operation) => placesIn(operation['parameters']))
  for (const { part } of parameters) tidyParameter(part, schemas)
  const responses = operations.flatMap((operation) => placesIn(operation['responses']))
  const headers = responses.flatMap(({ part }) => placesIn(part['headers']))
  Object.assign(document, {
    paths,
    components: {
      ...document.components,
      // Before the responses that contain them.
      headers: shareParts('headers', headers, (_, key) => key && toTypeName(key)),
      parameters: shareParts('parameters', parameters, ({ name }) => toTypeName(String(name))),
      responses: shareParts('responses', responses, failureName),
      schemas: schemas.toObject()
    }
  })
}
