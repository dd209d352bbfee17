/** The little of autocannon that is used here. */
declare module 'autocannon' {
  import type { EventEmitter } from 'node:events'

  namespace autocannon {
    /** One connection. */
    interface Client extends EventEmitter {
      readonly destroyed: boolean
      /** What to send next, the whole request. */
      getRequestBuffer: () => string | Buffer
      /** Sends the next request: called on connecting and after each answer. Not documented. */
      _doRequest: () => void
    }
    interface Result {
      '2xx': number
      non2xx: number
      /** Failed connections and time-outs. */
      errors: number
      /** Seconds. */
      duration: number
    }
    interface Instance extends Promise<Result> {
      /** `milliseconds` is the response time, with fractions. */
      on(
        event: 'response',
        listener: (client: Client, status: number, bytes: number, milliseconds: number) => void
      ): this
    }
  }

  function autocannon(options: {
    url: string
    connections: number
    /** Seconds. */
    duration: number
    setupClient?: (client: autocannon.Client) => void
  }): autocannon.Instance

  export = autocannon
}
