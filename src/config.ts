import { existsSync } from 'node:fs'
import { isIP } from 'node:net'
import { Value } from '@sinclair/typebox/value'
import { type Config, ConfigSchema } from '../schemas/config.ts'
import { ConfigError } from './config-error.ts'

/** The environment of the process, with the variables that `.env` in the working directory adds to it. */
export function loadEnvironment(): NodeJS.ProcessEnv {
  if (existsSync('.env')) process.loadEnvFile()
  return process.env
}

/**
 * Reads the configuration from environment variables. An empty variable counts as unset, except
 * API_KEYS, which is refused.
 *
 * @throws {ConfigError} for the first variable that is missing or invalid.
 */
export function readConfig(environment: NodeJS.ProcessEnv): Config {
  // A variable or a secret that is missing elsewhere must not turn authentication off.
  if (environment.API_KEYS === '') throw new ConfigError('API_KEYS is empty: unset it to serve without keys')
  const given = Object.fromEntries(
    Object.entries(ConfigSchema.properties).flatMap(([name, { type }]) => {
      const text = environment[name]
      if (!text) return []
      return [[name, type === 'integer' && /^\d+$/.test(text) ? Number(text) : text]]
    })
  )
  const config = Value.Default(ConfigSchema, given)
  if (Value.Check(ConfigSchema, config)) return config

  const error = Value.Errors(ConfigSchema, config).First()
  const name = error?.path.slice(1) ?? ''
  const expected = ConfigSchema.properties[name as keyof Config]?.description
  throw new ConfigError(
    `${name} ${environment[name] ? 'is not valid' : 'is not set'}: it must be ${expected}`
  )
}

/** Splits a comma-separated setting. Spaces around its entries don't matter. */
export function splitList(text: string): string[] {
  return text.trim().split(/\s*,\s*/)
}

const secondsOfUnit: Record<string, number> = { s: 1, m: 60, h: 3_600, d: 86_400 }

/** Converts a duration of the configuration, such as `7d`, to seconds. */
export function toSeconds(duration: string): number {
  return Number(duration.slice(0, -1)) * (secondsOfUnit[duration.slice(-1)] ?? Number.NaN)
}

/** Whether OpenTelemetry's standard variables enable traces. Its packages read the same variables. */
export function wantsTracing(environment: NodeJS.ProcessEnv): boolean {
  const endpoint = environment.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT || environment.OTEL_EXPORTER_OTLP_ENDPOINT
  const disabled = environment.OTEL_SDK_DISABLED?.toLowerCase() === 'true'
  return Boolean(endpoint) && !disabled && environment.OTEL_TRACES_EXPORTER !== 'none'
}

/** Names that stand for the subnets of private addresses. */
const subnetNames = ['loopback', 'linklocal', 'uniquelocal']

/**
 * The proxies of TRUST_PROXY, for Fastify. Without any, headers of proxies are ignored.
 *
 * @throws {ConfigError} for the first one that is neither an address, a subnet nor the name of subnets.
 */
export function readTrustedProxies(text: string | undefined): string[] | false {
  if (text === undefined) return false
  const proxies = text.split(',').map((proxy) => proxy.trim())
  for (const [index, proxy] of proxies.entries()) {
    const [address = '', bits] = proxy.split('/')
    const version = isIP(address)
    const isSubnet =
      version !== 0 &&
      (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128)))
    if (!isSubnet && !subnetNames.includes(proxy))
      throw new ConfigError(
        `TRUST_PROXY is not valid: part ${index + 1} must be an address, a subnet such as 10.0.0.0/8, or ${subnetNames.join(', ')}`
      )
  }
  return proxies
}
