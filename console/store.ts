import { useEffect, useState } from 'preact/hooks'

/** A value of the whole page. Components that use it are rendered again when it changes. */
export class Store<T> {
  readonly #listeners = new Set<() => void>()
  #value: T

  constructor(value: T) {
    this.#value = value
  }

  get value(): T {
    return this.#value
  }

  set(value: T): void {
    if (Object.is(value, this.#value)) return
    this.#value = value
    for (const listener of [...this.#listeners]) listener()
  }

  /** Calls the listener after each change. Returns what ends that. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
}

/** The value of a store, in a component. */
export function useStore<T>(store: Store<T>): T {
  const [, render] = useState({})
  useEffect(() => {
    const seen = store.value
    const update = () => render({})
    const unsubscribe = store.subscribe(update)
    // It may have changed between the rendering and its effect.
    if (!Object.is(seen, store.value)) update()
    return unsubscribe
  }, [store])
  return store.value
}
