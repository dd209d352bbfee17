type SentRequest = { method: string; headers: Headers; body: Blob; signal: AbortSignal }

/** What is used of XMLHttpRequest, whose type only the DOM library has. */
type FileRequest = {
  responseType: 'blob'
  readonly upload: { onprogress: (event: { loaded: number }) => void }
  onload: () => void
  onerror: () => void
  onabort: () => void
  onloadend: () => void
  readonly status: number
  readonly statusText: string
  readonly response: unknown
  open(method: string, url: string): void
  setRequestHeader(name: string, value: string): void
  getAllResponseHeaders(): string
  send(body: Blob): void
  abort(): void
}

declare const XMLHttpRequest: new () => FileRequest

/** The headers of an answer. */
function readHeaders(lines: string): Headers {
  const headers = new Headers()
  for (const line of lines.split('\r\n')) {
    const end = line.indexOf(':')
    if (end > 0) headers.append(line.slice(0, end), line.slice(end + 1).trim())
  }
  return headers
}

/**
 * Sends a file as `fetch` does, and tells how much of it is sent: in browsers, only XMLHttpRequest can do that over HTTP/1.1.
 * The browser reads the file as it sends it.
 *
 * @param onSent is called with the number of bytes that are sent.
 * @throws {TypeError} if the connection fails, as `fetch` does, and the reason of the signal if that is aborted.
 */
export function sendFile(
  url: string,
  { method, headers, body, signal }: SentRequest,
  onSent: (bytes: number) => void
): Promise<Response> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const request = new XMLHttpRequest()
    const abort = () => request.abort()
    signal.addEventListener('abort', abort)
    request.responseType = 'blob'
    request.upload.onprogress = ({ loaded }) => onSent(loaded)
    request.onload = () => {
      const { status, statusText, response } = request
      // An answer without a body must not have an empty one.
      const content = response instanceof Blob && response.size > 0 ? response : null
      resolve(
        new Response(content, { status, statusText, headers: readHeaders(request.getAllResponseHeaders()) })
      )
    }
    request.onerror = () => reject(new TypeError('the file was not sent, or not answered'))
    request.onabort = () => reject(signal.reason)
    request.onloadend = () => signal.removeEventListener('abort', abort)
    request.open(method, url)
    for (const [name, value] of headers) request.setRequestHeader(name, value)
    request.send(body)
  })
}
