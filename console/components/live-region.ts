import { html } from '../html.ts'
import { Store, useStore } from '../store.ts'

const message = new Store('')

/** Says something to those who don't see the page: that results have come, that something is done. */
export function announce(text: string): void {
  message.set(text)
}

/** What is announced. It is on the page once. */
export function LiveRegion() {
  return html`<div class="visually-hidden" role="status" aria-live="polite">${useStore(message)}</div>`
}
