import { resolve } from 'node:path'
import type { Config } from '../../schemas/config.ts'
import { ConfigError } from '../config-error.ts'
import { FolderStorage } from './folder-storage.ts'
import type { ReportStorage, StorageLocation } from './storage.ts'

/**
 * Where the reports are stored.
 *
 * @throws {ConfigError} if REPORTS_REDIRECT has no object storage to redirect to.
 */
export function readStorageLocation(config: Config): StorageLocation {
  if (config.REPORTS_URL === undefined) {
    if (config.REPORTS_REDIRECT) throw new ConfigError('REPORTS_REDIRECT is not valid: it needs REPORTS_URL')
    return { directory: resolve(config.REPORTS_DIR) }
  }
  const [, bucket = '', path = ''] = /^s3:\/\/([^/]+)\/?(.*?)\/*$/.exec(config.REPORTS_URL) ?? []
  const prefix = path === '' ? '' : `${path}/`
  return { bucket, prefix, endpoint: config.S3_ENDPOINT, region: config.AWS_REGION }
}

/** Opens the storage. A folder does not load the client of object storages, which takes 110 ms and 35 MB. */
export async function openStorage(location: StorageLocation): Promise<ReportStorage> {
  if ('directory' in location) return new FolderStorage(location.directory)
  const { S3Storage } = await import('./s3-storage.ts')
  return new S3Storage(location)
}
