import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import type { Test } from 'tap'

export type ReceivedSpan = {
  service: string
  name: string
  traceId: string
  parentId: string
  attributes: Record<string, string>
}

/** A collector for OTLP over HTTP, which keeps the spans. */
export async function startTraceCollector(
  t: Test
): Promise<{ url: string; spans: ReceivedSpan[]; paths: string[] }> {
  const spans: ReceivedSpan[] = []
  const paths: string[] = []
  const server = createServer(async (request, response) => {
    paths.push(`${request.method} ${request.url} ${request.headers['content-type']}`)
    spans.push(...readSpans(await buffer(request)))
    response.end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, spans, paths }
}

/** Reads the fields of a Protocol Buffers message that contain bytes: text or messages. Others are skipped. */
function readFields(message: Buffer): Map<number, Buffer[]> {
  const fields = new Map<number, Buffer[]>()
  let at = 0
  const readNumber = () => {
    let number = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = message.readUInt8(at++)
      number |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return Number(number)
    }
  }
  while (at < message.length) {
    const key = readNumber()
    const [field, type] = [key >> 3, key & 7]
    if (type === 0) readNumber()
    else if (type === 1) at += 8
    else if (type === 5) at += 4
    else {
      const length = readNumber()
      fields.set(field, [...(fields.get(field) ?? []), message.subarray(at, at + length)])
      at += length
    }
  }
  return fields
}

/** All messages at a path of field numbers. */
function find(message: Buffer, ...[field, ...rest]: number[]): Buffer[] {
  if (field === undefined) return [message]
  return (readFields(message).get(field) ?? []).flatMap((inner) => find(inner, ...rest))
}

/** @see https://github.com/open-telemetry/opentelemetry-proto `trace.proto`, where the numbers are from. */
function readSpans(request: Buffer): ReceivedSpan[] {
  const text = (message: Buffer, ...path: number[]) => find(message, ...path).join('')
  const readAttributes = (message: Buffer, ...path: number[]) =>
    Object.fromEntries(find(message, ...path).map((pair) => [text(pair, 1), text(pair, 2, 1)]))
  return find(request, 1).flatMap((resourceSpans) =>
    find(resourceSpans, 2, 2).map((span) => ({
      service: readAttributes(resourceSpans, 1, 1)['service.name'] ?? '',
      name: text(span, 5),
      traceId: Buffer.concat(find(span, 1)).toString('hex'),
      parentId: Buffer.concat(find(span, 4)).toString('hex'),
      attributes: readAttributes(span, 9)
    }))
  )
}
