import { Store, useStore } from './store.ts'

/** The path of the service, which a proxy may add to: what its own paths begin with. */
export const base = document.documentElement.dataset['base'] ?? ''

const root = `${base}/console`

/** Where the viewer is. All that a link must restore is in it. */
export type Place = Readonly<{
  /** Below `/console`, such as `/segments/PROMO_5`; `/` for `/console` itself. */
  path: string
  query: URLSearchParams
}>

type Query = Readonly<Record<string, string | number | boolean | undefined>>

function readPlace(): Place {
  const { pathname, search } = location
  const path = pathname.slice(root.length).replace(/\/+$/, '')
  return { path: path === '' ? '/' : path, query: new URLSearchParams(search) }
}

export const place = new Store<Place>(readPlace())

let isFirst = true

/** Whether the page is still the one that was loaded: its readers begin at its top anyway. */
export const isFirstPage = (): boolean => isFirst

addEventListener('popstate', () => {
  isFirst = false
  place.set(readPlace())
})

/** The address of a page of the console. Parameters without a value are left out. */
export function linkTo(path: string, query: Query = {}): string {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== '' && value !== false) parameters.set(name, String(value))
  }
  const suffix = parameters.size === 0 ? '' : `?${parameters}`
  return `${root}${path === '/' ? '' : path}${suffix}`
}

export const linkToSegment = (slug: string, query?: Query): string =>
  linkTo(`/segments/${encodeURIComponent(slug)}`, query)
export const linkToUser = (userId: string, query?: Query): string =>
  linkTo(`/users/${encodeURIComponent(userId)}`, query)
export const linkToGroup = (slug: string, query?: Query): string =>
  linkTo(`/groups/${encodeURIComponent(slug)}`, query)

export const linkToWebhook = (id: string): string => linkTo(`/webhooks/${encodeURIComponent(id)}`)

/** Goes to a page of the console. @param replaces whether it takes the place of the current one in the history. */
export function navigate(href: string, { replaces = false }: { replaces?: boolean } = {}): void {
  isFirst = false
  const before = place.value.path
  if (replaces) history.replaceState(null, '', href)
  else history.pushState(null, '', href)
  place.set(readPlace())
  if (place.value.path !== before) scrollTo(0, 0)
}

/** Changes parts of the view: of a search, which comes with each letter, only the last one stays in the history. */
export function changeQuery(changes: Query, { replaces = true }: { replaces?: boolean } = {}): void {
  const { path, query } = place.value
  navigate(linkTo(path, { ...Object.fromEntries(query), ...changes }), { replaces })
}

export const usePlace = (): Place => useStore(place)

/** A part of the view that is in the address, and what changes it. */
export function useQuery(name: string, fallback = ''): [string, (value: string) => void] {
  const { query } = usePlace()
  const change = (value: string) => changeQuery({ [name]: value === fallback ? undefined : value })
  return [query.get(name) ?? fallback, change]
}

/** Follows links of the console without loading the page again. Those that are to open elsewhere are the browser's. */
export function followLinks(): void {
  document.addEventListener('click', (event) => {
    const isPlain = event.button === 0 && !(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey)
    const link = event.target instanceof Element ? event.target.closest('a') : null
    if (!isPlain || event.defaultPrevented || !link || link.target !== '' || link.hasAttribute('download'))
      return
    const isOwn = link.origin === location.origin && `${link.pathname}/`.startsWith(`${root}/`)
    if (!isOwn || link.hash !== '') return
    event.preventDefault()
    navigate(link.pathname + link.search)
  })
}
