import { existsSync } from 'node:fs'
import { Value } from '@sinclair/typebox/value'
import { type Config, ConfigSchema } from '../schemas/config.ts'
import { ConfigError } from './config-error.ts'

/** The environment of the process, with the variables that `.env` in the working directory adds to it. */
export function loadEnvironment(): NodeJS.ProcessEnv {
  if (existsSync('.env')) process.loadEnvFile()
  return process.env
}

/**
 * Reads the configuration from environment variables. An empty variable counts as unset.
 *
 * @throws {ConfigError} for the first variable that is missing or invalid.
 */
export function readConfig(environment: NodeJS.ProcessEnv): Config {
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
