import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormatsModule from 'ajv-formats'

/** JSON Schema, as far as inputs are made from it. */
export type Schema = {
  $ref?: string
  type?: string
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

/** One method of one path, with all that the document says of it. */
export type Operation = {
  id: string
  method: string
  /** With its parameters in braces. */
  path: string
  parameters: Parameter[]
  /** What its body may be as JSON. */
  body: Media | undefined
  /** What its body may be besides: an example each, by media type. */
  uploads: Map<string, string>
  responses: Record<string, Response>
}

const JSON_TYPE = 'application/json'

/** What the OpenAPI document promises: which operations there are, and what fits them. */
export class Document {
  readonly operations: Operation[]
  readonly #ajv = new Ajv2020({ strict: false })
  readonly #compiled = new Map<Schema, ValidateFunction>()

  constructor(openApi: OpenApi) {
    const addFormats = addFormatsModule.default
    addFormats(this.#ajv)
    this.#ajv.addFormat('user-id', (text: string) => /^\d+$/.test(text) && BigInt(text) < 2n ** 63n)
    this.#ajv.addSchema(openApi, 'openapi')
    this.operations = Object.entries(openApi.paths).flatMap(([path, methods]) =>
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

  /** The operation that a request's path leads to, whatever was meant. */
  find(method: string, rawPath: string): Operation | undefined {
    const [pathname = ''] = rawPath.split(/[?#]/, 1)
    const leading = this.operations.filter(
      (operation) => operation.method === method && pathPattern(operation.path).test(pathname)
    )
    // A fixed path comes before one with parameters.
    return leading.toSorted((a, b) => a.path.split('{').length - b.path.split('{').length)[0]
  }

  /** Why a value does not fit a schema of the document; undefined where it does. */
  explainMisfit(schema: Schema, value: unknown): string | undefined {
    const validate = this.#compile(schema)
    return validate(value) ? undefined : this.#ajv.errorsText(validate.errors)
  }

  #compile(schema: Schema): ValidateFunction {
    const known = this.#compiled.get(schema)
    if (known) return known
    const text = JSON.stringify(schema).replaceAll('"$ref":"#/', '"$ref":"openapi#/')
    const validate = this.#ajv.compile(JSON.parse(text))
    this.#compiled.set(schema, validate)
    return validate
  }
}

function pathPattern(path: string): RegExp {
  return new RegExp(`^${path.replaceAll('.', '\\.').replace(/\{\w+\}/g, '[^/]*')}/?$`)
}
