export type { ChangeFeed, ChangesOptions } from './changes.ts'
export { type DownloadOptions, SegmentsClient } from './client.ts'
export type * from './contract-types.ts'
export type { Download, UsersDownload } from './download.ts'
export {
  type ClientErrorCode,
  type ErrorCode,
  type ErrorDetails,
  isSegmentsError,
  SegmentsError,
  type ServiceErrorCode
} from './errors.ts'
export type { FollowedSegment } from './followed-segment.ts'
export type { CachedSegments, LookupCache } from './lookup-cache.ts'
export type { UserId } from './names.ts'
export type { Pages } from './pages.ts'
export { type CallOptions, type ClientOptions, createIdempotencyKey, type WriteOptions } from './transport.ts'
export type { Progress, UploadOptions, UploadSource } from './upload.ts'
