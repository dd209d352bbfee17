/** The part of autocannon's API that is used here. */
declare module 'autocannon' {
  import type { EventEmitter } from 'node:events'

  namespace autocannon {
    /** One connection. */
    interface Client extends EventEmitter {
      readonly destroyed: boolean
      /** Returns the text of the next request. */
      getRequestBuffer: () => string | Buffer
      /** Sends the next request: called on connecting and after each answer. Not documented. */
      _doRequest: () => void
    }
    interface Result {
      '2xx': number
      non2xx: number
      /** Failed connections and timeouts. */
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
