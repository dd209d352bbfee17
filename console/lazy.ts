import { type ComponentType, type FunctionComponent, h } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { Button } from './components/button.ts'
import { Notice, Skeleton } from './components/notice.ts'
import { html } from './html.ts'
import { t } from './texts.ts'

const loaders: (() => Promise<unknown>)[] = []

/**
 * A component whose modules the first page does not wait for. They are loaded when it is first shown, or by
 * {@link loadTheRest}.
 */
export function lazy<Props extends object>(
  load: () => Promise<ComponentType<Props>>
): FunctionComponent<Props> {
  let component: ComponentType<Props> | undefined
  const loadOnce = async () => {
    component ??= await load()
  }
  loaders.push(loadOnce)

  return function Lazy(props: Props) {
    const [state, setState] = useState<'loading' | 'loaded' | 'failed'>('loading')
    useEffect(() => {
      if (component) return
      loadOnce().then(
        () => setState('loaded'),
        () => setState('failed')
      )
    }, [])
    if (component) return h(component, props)
    if (state === 'loading') return h(Skeleton, { lines: 8 })
    return h(Notice, {
      kind: 'error',
      children: html`<div class="grow"><strong>${t.errors.title}</strong><p>${t.errors.notLoaded}</p></div>
        ${h(Button, { onClick: () => location.reload(), children: t.errors.loadAgain })}`
    })
  }
}

/** Loads what is lazy, so that it is there at once: also when the service is away, or has been upgraded, by then. */
export async function loadTheRest(): Promise<void> {
  await Promise.allSettled(loaders.map((load) => load()))
}
