import { type Static, Type } from '@sinclair/typebox'
import { closedObject } from './common.ts'

export const LiveSchema = closedObject(
  { status: Type.Literal('live') },
  { title: 'Live', examples: [{ status: 'live' }] }
)
export type Live = Static<typeof LiveSchema>

export const ReadySchema = closedObject(
  { status: Type.Literal('ready') },
  { title: 'Ready', examples: [{ status: 'ready' }] }
)
export type Ready = Static<typeof ReadySchema>
