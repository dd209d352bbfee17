import { Type } from '@sinclair/typebox'
import { nullable, stringEnum } from './common.ts'

export const KeySchema = Type.Object(
  {
    name: nullable(Type.String(), { description: 'Null if the service runs without keys.' }),
    role: stringEnum(['reader', 'editor', 'admin'], {
      description: 'What the key may do. `admin` if the service runs without keys.'
    })
  },
  { title: 'Key', description: 'An API key.', examples: [{ name: 'marketing', role: 'admin' }] }
)
