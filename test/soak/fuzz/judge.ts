import type { Answer } from '../../support/client.ts'
import type { Document, Operation } from './document.ts'
import type { FuzzRequest } from './inputs.ts'

/** Responses to requests that reach no operation, by status. */
const beforeRouting: Record<number, string[]> = {
  400: ['INVALID_URL', 'MALFORMED_REQUEST'],
  404: ['ROUTE_NOT_FOUND'],
  405: ['METHOD_NOT_ALLOWED'],
  421: ['HOST_NOT_ALLOWED'],
  431: ['HEADERS_TOO_LARGE']
}

const withDetails = ['LINES_REJECTED', 'SEGMENTS_NOT_FOUND', 'SEGMENT_ALREADY_EXISTS', 'TOO_MANY_REMOVED']

const JSON_TYPE = 'application/json; charset=utf-8'

/** What is wrong with a response, by the document; undefined if nothing is. */
export function findFault(document: Document, request: FuzzRequest, answer: Answer): string | undefined {
  const { status } = answer
  if (status >= 500) return 'a failure of the service'
  const operation = document.find(request.method, request.url)
  const wrongForm = status >= 400 ? findWrongError(operation, answer) : undefined
  if (wrongForm) return wrongForm
  if (beforeRouting[status]?.includes(answer.code ?? '')) return undefined
  if (!operation) return 'answered by no operation of the document'
  return (
    findUndocumented(document, operation, answer) ?? findWronglyAccepted(document, operation, request, answer)
  )
}

/** Checks that an error response has the usual form and shows no internals. */
function findWrongError(operation: Operation | undefined, { headers, text }: Answer): string | undefined {
  if (headers['content-type'] !== JSON_TYPE) return `an error of the type ${headers['content-type']}`
  const error: unknown = JSON.parse(text)
  if (typeof error !== 'object' || error === null) return 'an error that is no object'
  const { message, code, ...details } = error as Record<string, unknown>
  // Some errors have additional fields, in the form that the operation defines.
  const mayHaveDetails = withDetails.includes(String(code)) || operation?.path.startsWith('/ofrep/')
  if (Object.keys(details).length > 0 && !mayHaveDetails) return 'an error of another form'
  if (typeof code !== 'string' || !/^[A-Z_]+$/.test(code)) return 'an error without a code'
  if (typeof message !== 'string' || message === '') return 'an error without a message'
  if (/\n|\.ts\b|\bat .*:\d+|\bselect\b.*\bfrom\b/.test(message)) return 'a message that shows the inside'
  return undefined
}

function findUndocumented(
  document: Document,
  { id, responses }: Operation,
  answer: Answer
): string | undefined {
  const response = responses[answer.status]
  if (!response) return `${id} does not name the status`
  const type = answer.headers['content-type']
  if (!response.content) return answer.text === '' ? undefined : `${id} names no content`
  const [mediaType, media] = Object.entries(response.content).find(([name]) => type?.startsWith(name)) ?? []
  if (!media) return `${id} does not name the type ${type}`
  if (mediaType === 'application/json' && type !== JSON_TYPE) return `JSON as ${type}`
  const content = mediaType === 'application/json' ? JSON.parse(answer.text) : answer.text
  const misfit = document.explainMisfit(media.schema, content)
  return misfit && `it does not fit the schema: ${misfit}`
}

/** Checks that an invalid request does not succeed. */
function findWronglyAccepted(
  document: Document,
  operation: Operation,
  request: FuzzRequest,
  { status, text }: Answer
): string | undefined {
  if (status >= 400) return undefined
  const [, query = ''] = request.url.split('#', 1)[0]?.split('?') ?? []
  const named = new Set(
    operation.parameters.filter(({ in: place }) => place === 'query').map(({ name }) => name)
  )
  for (const name of new URLSearchParams(query).keys())
    if (name !== '' && !named.has(name)) return `unknown query parameter ${name} was accepted`
  if (!operation.body || request.body === undefined) return undefined
  const [type = ''] = request.headers['content-type']?.split(';') ?? []
  if (operation.uploads.has(type.trim().toLowerCase())) return undefined
  // An upload may skip elements that are not valid.
  if (operation.uploads.size > 0 && JSON.parse(text).rejected.count > 0) return undefined
  // A byte order mark may be ignored (RFC 8259, 8.1).
  const body: unknown = JSON.parse(request.body.replace(/^\ufeff/, ''))
  const misfit = document.explainMisfit(operation.body.schema, body)
  return misfit && `a body was accepted that does not fit: ${misfit}`
}
