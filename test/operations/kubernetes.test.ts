import { readdir, readFile } from 'node:fs/promises'
import t from 'tap'
import { parse } from 'yaml'
import { ConfigSchema } from '../../schemas/config.ts'
import { toSeconds } from '../../src/config.ts'
import { PROBE_DEADLINE_MS, SHUTDOWN_TIMEOUT_MS } from '../../src/limits.ts'
import { startService } from '../support/service.ts'

type Probe = { httpGet: { path: string; port: string }; timeoutSeconds?: number }
type Container = {
  image: string
  ports?: { name: string; containerPort: number }[]
  env: { name: string; value?: string; valueFrom?: { secretKeyRef: { name: string; key: string } } }[]
  resources: { requests: object; limits: object }
  securityContext: object
  volumeMounts?: { mountPath: string }[]
} & Partial<Record<'startupProbe' | 'livenessProbe' | 'readinessProbe', Probe>>
type Pod = { terminationGracePeriodSeconds?: number; securityContext: object; containers: [Container] }
type Workload = {
  spec: {
    selector?: { matchLabels: Record<string, string> }
    template: { metadata: { labels: Record<string, string> }; spec: Pod }
  }
}

const folder = new URL('../../ops/kubernetes/', import.meta.url)
const read = async <T>(name: string): Promise<T> => parse(await readFile(new URL(name, folder), 'utf8'))

const deployment = await read<Workload>('deployment.yaml')
const migration = await read<Workload>('migration.yaml')
const { spec: pod } = deployment.spec.template
const [container] = pod.containers
const dockerfile = await readFile(new URL('../../Dockerfile', import.meta.url), 'utf8')

t.test('a pod has the time that the service needs to end', async (t) => {
  const delay = container.env.find(({ name }) => name === 'SHUTDOWN_DELAY')?.value ?? ''
  t.ok((pod.terminationGracePeriodSeconds ?? 0) > toSeconds(delay) + SHUTDOWN_TIMEOUT_MS / 1_000)
})

t.test('probes ask what the service answers, and only readiness depends on the database', async (t) => {
  const service = await startService(t)
  const { startupProbe, livenessProbe, readinessProbe } = container
  t.same(
    [startupProbe, livenessProbe, readinessProbe].map((probe) => probe?.httpGet.path),
    ['/health/live', '/health/live', '/health/ready']
  )
  for (const path of ['/health/live', '/health/ready']) t.equal((await service.get(path)).status, 200, path)
  t.ok((readinessProbe?.timeoutSeconds ?? 0) > PROBE_DEADLINE_MS / 1_000)
  t.same(container.ports, [{ name: 'http', containerPort: 8080 }])
  t.match(dockerfile, /ENV .*PORT=8080/)
  t.match(dockerfile, /HEALTHCHECK .*\\\n.*\/health\/live/, 'the image checks its liveness')
  t.notMatch(dockerfile, /HEALTHCHECK .*\\\n.*\/health\/ready/)
})

t.test('the service and the migration have no more rights than they need', async (t) => {
  t.match(dockerfile, /^USER 1000:1000$/m)
  for (const { spec } of [deployment.spec.template, migration.spec.template]) {
    t.match(spec, {
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } }
    })
    t.match(spec.containers[0], {
      resources: { requests: { cpu: String, memory: String }, limits: { cpu: String, memory: String } },
      securityContext: {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] }
      }
    })
  }
  const directory = container.env.find(({ name }) => name === 'REPORTS_DIR')?.value
  t.equal(container.volumeMounts?.[0]?.mountPath, directory, 'reports are written to a volume')
})

t.test('every variable is one that the service reads, and every secret has an example', async (t) => {
  const { metadata, stringData } = await read<{ metadata: { name: string }; stringData: object }>(
    'secret.example.yaml'
  )
  for (const { env } of [container, migration.spec.template.spec.containers[0]])
    for (const { name, valueFrom } of env) {
      t.ok(name in ConfigSchema.properties, name)
      if (!valueFrom) continue
      t.equal(valueFrom.secretKeyRef.name, metadata.name)
      t.ok(valueFrom.secretKeyRef.key in stringData, valueFrom.secretKeyRef.key)
    }
})

t.test('selectors select the pods of the service, and not those of the migration', async (t) => {
  const budget = await read<Workload>('pod-disruption-budget.yaml')
  const service = await read<{ spec: { selector: object } }>('service.yaml')
  const { labels } = deployment.spec.template.metadata
  for (const selector of [
    deployment.spec.selector?.matchLabels,
    budget.spec.selector?.matchLabels,
    service.spec.selector
  ]) {
    t.match(labels, selector ?? { missing: true })
    t.notMatch(migration.spec.template.metadata.labels, selector)
  }
})

t.test('the kustomization has every manifest but the example of the secret', async (t) => {
  const { resources, images } = await read<{ resources: string[]; images: { name: string }[] }>(
    'kustomization.yaml'
  )
  const files = (await readdir(folder)).filter(
    (name) => !/^(kustomization|secret\.example)\.yaml$/.test(name)
  )
  t.same(resources, files.sort())
  for (const { spec } of [deployment.spec.template, migration.spec.template])
    t.equal(spec.containers[0].image, images[0]?.name)
})

t.test('the image has no package manager', async (t) => {
  const [, final = ''] = dockerfile.split(/^FROM .*$/m).slice(1)
  t.match(
    final,
    /^RUN rm -rf \/usr\/local\/lib\/node_modules \/usr\/local\/bin\/npm \/usr\/local\/bin\/npx /m
  )
})
