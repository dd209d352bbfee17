import { type Static, Type } from '@sinclair/typebox'

export const LiveSchema = Type.Object(
  { status: Type.Literal('live') },
  { title: 'Live', description: 'The process runs.', examples: [{ status: 'live' }] }
)
export type Live = Static<typeof LiveSchema>

export const ReadySchema = Type.Object(
  { status: Type.Literal('ready') },
  { title: 'Ready', description: 'The service can serve.', examples: [{ status: 'ready' }] }
)
export type Ready = Static<typeof ReadySchema>
