import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormatsModule from 'ajv-formats'
import { dereference } from '../../support/dereference.ts'

/** The part of JSON Schema from which inputs are generated. */
export type Schema = {
  type?: string | string[]
  format?: string
  pattern?: string
  minLength?: number
  maxLength?: number
  minimum?: number
  maximum?: number
  minItems?: number
  maxItems?: number
  items?: Schema
  properties?: Record<string, Schema>
  required?: string[]
  anyOf?: Schema[]
  enum?: unknown[]
  const?: unknown
  examples?: unknown[]
}

export type Parameter = { name: string; in: string; required?: boolean; schema: Schema; example?: unknown }

type Media = { schema: Schema; example?: unknown }

type Response = { content?: Record<string, Media> }

type OperationObject = {
  operationId: string
  parameters?: Parameter[]
  requestBody?: { content: Record<string, Media> }
  responses: Record<string, Response>
}

export type OpenApi = { paths: Record<string, Record<string, OperationObject>> }

/** One method of one path, with everything that the document says about it. */
export type Operation = {
  id: string
  method: string
  /** With its parameters in braces. */
  path: string
  parameters: Parameter[]
  /** The schema of a JSON body. */
  body: Media | undefined
  /** Examples of other bodies, by media type. */
  uploads: Map<string, string>
  responses: Record<string, Response>
}

const JSON_TYPE = 'application/json'

/** The operations of the OpenAPI document, and validation by its schemas. */
export class Document {
  readonly operations: Operation[]
  readonly #ajv = new Ajv2020({ strict: false })
  readonly #compiled = new Map<Schema, ValidateFunction>()

  constructor(openApi: OpenApi) {
    const { paths } = dereference(openApi)
    const addFormats = addFormatsModule.default
    addFormats(this.#ajv)
    this.#ajv.addFormat('user-id', (text: string) => /^\d+$/.test(text) && BigInt(text) < 2n ** 63n)
    this.#ajv.addFormat('day-or-time', isDayOrTime)
    this.operations = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({
        id: operation.operationId,
        method: method.toUpperCase(),
        path,
        parameters: operation.parameters ?? [],
        body: operation.requestBody?.content[JSON_TYPE],
        uploads: new Map(
          Object.entries(operation.requestBody?.content ?? {}).flatMap(([type, { example }]) =>
            typeof example === 'string' ? [[type, example]] : []
          )
        ),
        responses: operation.responses
      }))
    )
  }

  /** The operation that a request's path actually leads to. */
  find(method: string, rawPath: string): Operation | undefined {
    const [pathname = ''] = rawPath.split(/[?#]/, 1)
    const leading = this.operations.filter(
      (operation) => operation.method === method && pathPattern(operation.path).test(pathname)
    )
    // A fixed path comes before one with parameters.
    return leading.toSorted((a, b) => a.path.split('{').length - b.path.split('{').length)[0]
  }

  /** Why a value does not match a schema of the document; undefined if it does. */
  explainMisfit(schema: Schema, value: unknown): string | undefined {
    const validate = this.#compile(schema)
    return validate(value) ? undefined : this.#ajv.errorsText(validate.errors)
  }

  #compile(schema: Schema): ValidateFunction {
    const known = this.#compiled.get(schema)
    if (known) return known
    const validate = this.#ajv.compile(schema)
    this.#compiled.set(schema, validate)
    return validate
  }
}

/** Checks only the form of a day; the service checks whether the day exists. */
function isDayOrTime(text: string): boolean {
  return /^\d{4}-\d{2}-\d{2}(T.*)?$/.test(text)
}

function pathPattern(path: string): RegExp {
  return new RegExp(`^${path.replaceAll('.', '\\.').replace(/\{\w+\}/g, '[^/]*')}/?$`)
}
