/** The body of an error: JSON by default, or a problem as RFC 9457 describes it. */
import { STATUS_CODES } from 'node:http'
import { PROBLEM_TYPE } from '../../schemas/problems.ts'

type ErrorFields = {
  statusCode: number
  code: string
  message: string
  details?: Record<string, unknown> | undefined
}

export type ErrorBody = { type: string; text: string }

/** The quality that an `Accept` header gives to one of these media ranges; undefined if it names none of them. */
function qualityOf(accept: string, ...ranges: string[]): number | undefined {
  const parts = accept.toLowerCase().split(',')
  for (const range of ranges) {
    for (const part of parts) {
      const [name = '', ...parameters] = part.split(';').map((text) => text.trim())
      if (name !== range) continue
      const quality = parameters.find((parameter) => parameter.startsWith('q='))
      return quality === undefined ? 1 : Number(quality.slice(2)) || 0
    }
  }
  return undefined
}

/**
 * Whether an `Accept` header accepts problems and does not accept JSON (RFC 9110, 12.5.1). A client that accepts both gets
 * JSON, as it always has.
 */
function acceptsOnlyProblems(accept: string): boolean {
  return (
    (qualityOf(accept, PROBLEM_TYPE) ?? 0) > 0 &&
    (qualityOf(accept, 'application/json', 'application/*', '*/*') ?? 0) === 0
  )
}

/** Writes the body of an error in the form that the client accepts. */
export function writeErrorBody(accept: string | undefined, error: ErrorFields): ErrorBody {
  const { statusCode, code, message, details } = error
  if (accept !== undefined && acceptsOnlyProblems(accept)) {
    const title = STATUS_CODES[statusCode] ?? ''
    const problem = { type: 'about:blank', title, status: statusCode, detail: message, code, ...details }
    return { type: `${PROBLEM_TYPE}; charset=utf-8`, text: JSON.stringify(problem) }
  }
  return {
    type: 'application/json; charset=utf-8',
    text: JSON.stringify({ message, code, ...details })
  }
}
