import { Type } from '@sinclair/typebox'

/** An error as RFC 9457 describes it. The fields that an error has besides its message are there as well. */
export const ProblemSchema = Type.Object(
  {
    type: Type.Literal('about:blank'),
    title: Type.String({ description: 'The name of the status.' }),
    status: Type.Integer({ description: 'The status.' }),
    detail: Type.String({ description: 'The message, for people.' }),
    code: Type.String({ description: 'The code, for programs.' })
  },
  {
    title: 'Problem',
    description:
      'The same error as RFC 9457 describes it, for clients that accept it and do not accept JSON.',
    examples: [
      {
        type: 'about:blank',
        title: 'Not Found',
        status: 404,
        detail: 'user with id (10) not found',
        code: 'USER_NOT_FOUND'
      }
    ]
  }
)

export const PROBLEM_TYPE = 'application/problem+json'
