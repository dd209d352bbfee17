import htm from 'htm'
import { type ComponentChildren, h } from 'preact'

/**
 * Elements of HTML, written as they are: text in them is escaped, as it never becomes markup. Components are called by `h`, so
 * that TypeScript checks their properties.
 */
export const html: (strings: TemplateStringsArray, ...values: unknown[]) => ComponentChildren = htm.bind(h)
