import { type ComponentChildren, h } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import { Button } from './components/button.ts'
import { LiveRegion } from './components/live-region.ts'
import { goTo } from './components/page.ts'
import { Tag } from './components/values.ts'
import { html } from './html.ts'
import { language, languages, setLanguage } from './language.ts'
import { base, isFirstPage, linkTo, linkToSegment, linkToUser, navigate, usePlace } from './router.ts'
import { type Role, reaches, sessionState, signOut } from './session.ts'
import { useStore } from './store.ts'
import { t } from './texts.ts'
import { setTheme, theme, themes } from './theme.ts'

type NavigationEntry = {
  title: string
  path: string
  /** Further sections whose pages belong to the entry, besides its own. */
  sections?: readonly string[]
  /** The role without which the page shows nothing. */
  needs?: Role
}

/** The main navigation. Each page that can be reached from everywhere has an entry. */
function listNavigation(role: Role): NavigationEntry[] {
  const entries: NavigationEntry[] = [
    { title: t.navigation.segments, path: '/', sections: ['/segments', '/users'] },
    { title: t.navigation.groups, path: '/groups' },
    { title: t.navigation.imports, path: '/imports', needs: 'editor' },
    { title: t.navigation.changes, path: '/changes' },
    { title: t.navigation.reports, path: '/reports' },
    { title: t.navigation.webhooks, path: '/webhooks', needs: 'admin' },
    { title: t.navigation.system, path: '/system' }
  ]
  return entries.filter(({ needs = 'reader' }) => reaches(role, needs))
}

function isWithin(current: string, { path, sections = [] }: NavigationEntry): boolean {
  return (
    current === path ||
    [path, ...sections].some((section) => section !== '/' && current.startsWith(`${section}/`))
  )
}

/** Goes to a user, for a number, or to a segment. */
function GoTo() {
  const input = useRef<HTMLInputElement>(null)
  const go = (event: Event) => {
    event.preventDefault()
    const text = input.current?.value.trim() ?? ''
    if (text === '' || !input.current) return
    input.current.value = ''
    input.current.blur()
    navigate(/^\d+$/.test(text) ? linkToUser(text) : linkToSegment(text.toUpperCase()))
  }
  return html`<form class="go-to" role="search" aria-label=${t.navigation.goTo} onSubmit=${go}>
    <input ref=${input} type="search" aria-label=${t.navigation.goTo} placeholder=${t.navigation.goToPlaceholder}
      autocomplete="off" spellcheck=${false} />
  </form>`
}

function Settings() {
  const state = useStore(sessionState)
  const session = state.is === 'signed-in' ? state.session : undefined
  const chosenTheme = useStore(theme)
  const chosenLanguage = useStore(language)
  const select = (event: Event) => (event.target instanceof HTMLSelectElement ? event.target.value : '')
  return html`<div class="settings">
    ${session?.name === null && h(Tag, { kind: 'warn', children: t.session.open })}
    <select aria-label=${t.settings.language} value=${chosenLanguage} onChange=${(event: Event) => {
      const chosen = languages.find((name) => name === select(event))
      if (chosen) setLanguage(chosen)
    }}>
      <option value="en">EN</option>
      <option value="ru">RU</option>
    </select>
    <select aria-label=${t.settings.theme} value=${chosenTheme} onChange=${(event: Event) => {
      const chosen = themes.find((name) => name === select(event))
      if (chosen) setTheme(chosen)
    }}>
      ${themes.map((name) => html`<option key=${name} value=${name}>${t.settings[name]}</option>`)}
    </select>
    ${session?.name != null && html`<span class="who">${t.session.signedInAs(session.name, t.session.roles[session.role])}</span>`}
    ${session?.name != null && h(Button, { kind: 'quiet', onClick: () => signOut('asked'), children: t.session.signOut })}
  </div>`
}

/** Puts the cursor into the search of the page, or else into that of the header. */
function focusSearch(event: KeyboardEvent): void {
  const isTyping = event.target instanceof Element && event.target.closest('input, textarea, select, dialog')
  if (event.key !== '/' || isTyping || event.ctrlKey || event.metaKey || event.altKey) return
  const search =
    document.querySelector<HTMLInputElement>('main [data-search]') ??
    document.querySelector<HTMLInputElement>('.go-to input')
  if (!search) return
  event.preventDefault()
  search.focus()
  search.select()
}

/** What is around every page: header, navigation and the region of announcements. */
export function Layout({ children }: { children: ComponentChildren }) {
  const { path } = usePlace()
  const state = useStore(sessionState)
  const session = state.is === 'signed-in' ? state.session : undefined
  useEffect(() => {
    document.addEventListener('keydown', focusSearch)
    return () => document.removeEventListener('keydown', focusSearch)
  }, [])
  useEffect(() => {
    if (isFirstPage()) return
    const heading = document.querySelector<HTMLElement>('main h1')
    if (heading) goTo(heading)
    // The page has to load first. Then it takes the focus.
    else document.getElementById('main')?.focus({ preventScroll: true })
  }, [path])
  return html`<a class="skip" href="#main">${t.common.skip}</a>
    <header class="top">
      <a class="brand" href=${linkTo('/')}>${t.common.title}</a>
      ${session && h(GoTo, {})}
      ${h(Settings, {})}
    </header>
    ${
      session &&
      html`<nav class="main-navigation" aria-label=${t.navigation.label}>
        ${listNavigation(session.role).map(
          (entry) =>
            html`<a key=${entry.path} href=${linkTo(entry.path)}
              aria-current=${isWithin(path, entry) ? 'page' : undefined}>${entry.title}</a>`
        )}
        <a class="documentation" href=${`${base}/swagger`} target="_blank" rel="noreferrer">${t.navigation.documentation}</a>
      </nav>`
    }
    <main id="main" tabindex="-1">
      ${children}
    </main>
    ${h(LiveRegion, {})}`
}
