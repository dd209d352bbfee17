import { Component, type ComponentChildren, h, render } from 'preact'
import { EmptyState, ErrorNotice, Skeleton } from './components/notice.ts'
import { Page } from './components/page.ts'
import { html } from './html.ts'
import { language } from './language.ts'
import { Layout } from './layout.ts'
import { lazy, loadTheRest } from './lazy.ts'
import { SegmentsPage } from './pages/segments.ts'
import { SignInPage } from './pages/sign-in.ts'
import { followLinks, linkTo, usePlace } from './router.ts'
import { sessionState, startSession } from './session.ts'
import { useStore } from './store.ts'
import { t } from './texts.ts'

const ChangesPage = lazy(async () => (await import('./pages/changes.ts')).ChangesPage)
const GroupPage = lazy(async () => (await import('./pages/group.ts')).GroupPage)
const GroupsPage = lazy(async () => (await import('./pages/groups.ts')).GroupsPage)
const ImportsPage = lazy(async () => (await import('./pages/imports.ts')).ImportsPage)
const ReportsPage = lazy(async () => (await import('./pages/reports.ts')).ReportsPage)
const SegmentPage = lazy(async () => (await import('./pages/segment.ts')).SegmentPage)
const SystemPage = lazy(async () => (await import('./pages/system.ts')).SystemPage)
const UserPage = lazy(async () => (await import('./pages/user.ts')).UserPage)
const WebhookPage = lazy(async () => (await import('./pages/webhook.ts')).WebhookPage)
const WebhooksPage = lazy(async () => (await import('./pages/webhooks.ts')).WebhooksPage)

/** The page of a path, whose parts are decoded. Every page has a line here. */
function choosePage(path: string): ComponentChildren {
  const [section = '', ...rest] = path.slice(1).split('/').map(decodePart)
  const [name = ''] = rest
  switch (`${section}/${rest.length}`) {
    case '/0':
      return h(SegmentsPage, {})
    case 'segments/1':
      return h(SegmentPage, { slug: name })
    case 'groups/0':
      return h(GroupsPage, {})
    case 'groups/1':
      return h(GroupPage, { slug: name })
    case 'imports/0':
      return h(ImportsPage, {})
    case 'users/1':
      return h(UserPage, { userId: name })
    case 'webhooks/0':
      return h(WebhooksPage, {})
    case 'webhooks/1':
      return h(WebhookPage, { id: name })
    case 'system/0':
      return h(SystemPage, {})
    case 'changes/0':
      return h(ChangesPage, {})
    case 'reports/0':
      return h(ReportsPage, {})
    default:
      return h(NotFoundPage, {})
  }
}

function decodePart(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

function NotFoundPage() {
  return h(Page, {
    title: t.errors.notFound,
    children: h(EmptyState, {
      title: t.errors.notFoundHint,
      children: html`<a class="button" href=${linkTo('/')}>${t.errors.toStart}</a>`
    })
  })
}

/** What fails while a page is rendered is shown in its place. */
class FaultBoundary extends Component<{ children: ComponentChildren }, { error: unknown }> {
  override state = { error: undefined as unknown }

  static override getDerivedStateFromError(error: unknown) {
    return { error }
  }

  override render() {
    const { error } = this.state
    if (error === undefined) return this.props.children
    return h(ErrorNotice, { error, onRetry: () => this.setState({ error: undefined }) })
  }
}

function CurrentPage() {
  const { path } = usePlace()
  const state = useStore(sessionState)
  switch (state.is) {
    case 'starting':
      return h(Skeleton, { lines: 8 })
    case 'unreachable':
      return h(ErrorNotice, { error: state.error, onRetry: startSession })
    case 'signed-out':
      return h(SignInPage, { because: state.because })
    case 'signed-in':
      return h(FaultBoundary, { key: path, children: choosePage(path) })
  }
}

function App() {
  // With another language, everything is rendered again.
  useStore(language)
  return h(Layout, { children: h(CurrentPage, {}) })
}

/** Milliseconds after the first page has loaded. */
const REST_DELAY_MS = 1_000

addEventListener('load', () => setTimeout(loadTheRest, REST_DELAY_MS))
followLinks()
document.body.textContent = ''
render(h(App, {}), document.body)
void startSession()
