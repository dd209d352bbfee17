import { html } from '../html.ts'

/** A cross: what closes something. Drawn, as not every font has such signs. */
export const crossIcon = () => html`<svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
  <path d="M3.5 3.5l9 9m0-9l-9 9" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" />
</svg>`
