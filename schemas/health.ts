import { type Static, Type } from '@sinclair/typebox'
import { stringEnum } from './common.ts'

export const LiveSchema = Type.Object(
  { status: stringEnum(['live']) },
  { title: 'Liveness', description: 'The process runs.', examples: [{ status: 'live' }] }
)
export type Live = Static<typeof LiveSchema>

export const ReadySchema = Type.Object(
  { status: stringEnum(['ready']) },
  { title: 'Readiness', description: 'The service can answer requests.', examples: [{ status: 'ready' }] }
)
export type Ready = Static<typeof ReadySchema>
