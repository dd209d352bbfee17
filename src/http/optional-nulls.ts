/**
 * Null for an optional field of a body means that the field is absent: other languages send an empty list or value so.
 * The exceptions are fields whose own schema allows null.
 */
import type { preValidationHookHandler } from 'fastify'
import { isJsonObject, type JsonObject } from './json-object.ts'

type Drop = (value: unknown) => void

function nodesOf(value: unknown): JsonObject[] {
  return Array.isArray(value) ? value.filter(isJsonObject) : []
}

function fieldsOf({ properties }: JsonObject): [name: string, schema: JsonObject][] {
  return Object.entries(isJsonObject(properties) ? properties : {}).flatMap(([name, field]) =>
    isJsonObject(field) ? [[name, field]] : []
  )
}

/** Whether null for the field means that it is absent. */
function isDropped({ required }: JsonObject, name: string, field: JsonObject): boolean {
  const isRequired = Array.isArray(required) && required.includes(name)
  return !isRequired && ![field['type']].flat().includes('null')
}

/** Creates the functions that remove nulls from a value of this schema: none if there is nothing to remove. */
function compileDrops(schema: JsonObject): Drop[] {
  const { items, anyOf } = schema
  const ofElements = isJsonObject(items) ? compileDrops(items) : []
  const fields = fieldsOf(schema)
  const names = fields.filter(([name, field]) => isDropped(schema, name, field)).map(([name]) => name)
  const ofFields = fields.flatMap(([name, field]) => compileDrops(field).map((drop) => ({ name, drop })))
  const drops = nodesOf(anyOf).flatMap(compileDrops)
  if (ofElements.length > 0)
    drops.push((value) => {
      if (Array.isArray(value)) for (const element of value) for (const drop of ofElements) drop(element)
    })
  if (names.length > 0 || ofFields.length > 0)
    drops.push((value) => {
      if (!isJsonObject(value)) return
      for (const name of names) if (value[name] === null) delete value[name]
      for (const { name, drop } of ofFields) drop(value[name])
    })
  return drops
}

/** Creates the hook that removes nulls from a route's body before it is validated. */
export function dropNulls(body: unknown): preValidationHookHandler[] {
  const drops = isJsonObject(body) ? compileDrops(body) : []
  if (drops.length === 0) return []
  return [
    (request, _reply, done) => {
      for (const drop of drops) drop(request.body)
      done()
    }
  ]
}

function allowNull(schema: JsonObject): JsonObject {
  const { title: _, type, ...rules } = schema
  return typeof type === 'string' && !('enum' in schema)
    ? { ...rules, type: [type, 'null'] }
    : { anyOf: [schema, { type: 'null' }] }
}

/** A copy of a body's schema that allows null where {@link dropNulls} removes it, for the OpenAPI document. */
export function allowNulls(schema: unknown): unknown {
  if (!isJsonObject(schema)) return schema
  const { items, anyOf, properties } = schema
  const fields = fieldsOf(schema).map(([name, field]) => {
    const inner = allowNulls(field)
    return [name, isJsonObject(inner) && isDropped(schema, name, field) ? allowNull(inner) : inner]
  })
  return {
    ...schema,
    ...(isJsonObject(items) && { items: allowNulls(items) }),
    ...(Array.isArray(anyOf) && { anyOf: anyOf.map(allowNulls) }),
    ...(isJsonObject(properties) && { properties: Object.fromEntries(fields) })
  }
}
