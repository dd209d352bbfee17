import type { ComponentChildren } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import { html } from '../html.ts'
import { isFirstPage } from '../router.ts'
import { t } from '../texts.ts'
import { announce } from './live-region.ts'

/** Reading goes on at the heading of a page. */
export function goTo(heading: HTMLElement | null): void {
  heading?.focus({ preventScroll: true })
  announce(t.navigation.wentTo(heading?.textContent ?? ''))
}

/** The heading of a page with its actions, and its content. */
export function Page({
  title,
  isMono = false,
  tag,
  subtitle,
  actions,
  children
}: {
  title: string
  isMono?: boolean
  /** What is out of the ordinary. */
  tag?: ComponentChildren
  subtitle?: ComponentChildren
  actions?: ComponentChildren
  children: ComponentChildren
}) {
  const heading = useRef<HTMLHeadingElement>(null)
  useEffect(() => {
    // What had the focus has gone with the page before, or with what was shown until this page had loaded.
    const { activeElement } = document
    const isLost = activeElement === document.body || activeElement?.id === 'main'
    if (isLost && !isFirstPage()) goTo(heading.current)
  }, [])
  useEffect(() => {
    document.title = `${title} · ${t.common.title}`
  }, [title])
  return html`<div class="page-head">
      <div class="grow">
        <div class="title-line"><h1 ref=${heading} class=${isMono ? 'mono' : undefined} tabindex="-1">${title}</h1>${tag}</div>
        ${subtitle && html`<p class="subtitle">${subtitle}</p>`}
      </div>
      ${actions && html`<div class="actions">${actions}</div>`}
    </div>
    ${children}`
}

/** A part of a page. */
export function Section({
  title,
  actions,
  children
}: {
  title: string
  actions?: ComponentChildren
  children: ComponentChildren
}) {
  return html`<section class="section" aria-label=${title}>
    <div class="section-head"><h2>${title}</h2>${actions}</div>
    ${children}
  </section>`
}

/** Parts of a page of which one is shown. Each has its address. */
export function Tabs({
  label,
  tabs
}: {
  label: string
  tabs: readonly { title: string; href: string; isCurrent: boolean }[]
}) {
  return html`<nav class="tabs" aria-label=${label}>
    ${tabs.map(
      ({ title, href, isCurrent }) =>
        html`<a key=${href} href=${href} aria-current=${isCurrent ? 'page' : undefined}>${title}</a>`
    )}
  </nav>`
}
