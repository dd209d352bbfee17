type Details = {
  /** The code of the cause if no connection could be established, such as ECONNREFUSED. */
  code?: string
  /**
   * Whether the failed statement may have taken effect: it was sent, and no answer arrived. If false, it certainly had
   * no effect: it was not sent, or its transaction was rolled back when the connection was lost.
   */
  mayHaveEffect: boolean
  cause?: unknown
}

/** No connection could be established, or it was lost. The cause says why. */
export class ConnectionError extends Error {
  readonly code: string
  readonly mayHaveEffect: boolean

  constructor(message: string, { code = 'CONNECTION_CLOSED', mayHaveEffect, cause }: Details) {
    super(message, { cause })
    this.code = code
    this.mayHaveEffect = mayHaveEffect
  }
}
