// Without imports: the threads that generate reports load this, and loading TypeBox takes longer than a small report.

/** Invalid configuration. `message` is one line for the operator, without any value that could be a secret. */
export class ConfigError extends Error {}
