import { ChangeFeed, type ChangesOptions } from './changes.ts'
import type {
  AddedMembers,
  ChangeSegment,
  ChangeUserSegments,
  ChangeWebhook,
  CountComposed,
  CreatedWebhook,
  CreateGroup,
  CreateSegment,
  CreateWebhook,
  Group,
  GroupPage,
  GroupReport,
  Key,
  KnownUsers,
  ListQuery,
  Member,
  MemberPage,
  MembershipState,
  OrderedReport,
  OrderReport,
  Overlaps,
  Query,
  RemovedMembers,
  ReplacedMembers,
  ReportStatus,
  Segment,
  SegmentChange,
  SegmentEntry,
  SegmentHistory,
  SegmentPage,
  SegmentsOfUsers,
  Sizes,
  System,
  Timeline,
  TimelineEntry,
  UserCount,
  UserMemberships,
  Webhook,
  Webhooks
} from './contract-types.ts'
import { type Download, Source, UsersDownload } from './download.ts'
import { FollowedSegment } from './followed-segment.ts'
import { LookupCache } from './lookup-cache.ts'
import { Lookups, queryUsers } from './lookups.ts'
import { readSlug, readUserId, readWebhookId, type UserId } from './names.ts'
import { Pages } from './pages.ts'
import { fetchReport, readReportPath } from './reports.ts'
import { type Call, type CallOptions, type ClientOptions, Transport, type WriteOptions } from './transport.ts'
import { type Progress, Upload, type UploadOptions, type UploadSource } from './upload.ts'

/** The options of a download. */
export type DownloadOptions = CallOptions & { onProgress?: (progress: Progress) => void }

/**
 * A client of the service. Keep one for the life of the process: reads of the same moment share requests, and reads contain
 * the client's own writes wherever they are answered.
 *
 * Fields of requests and answers have the names of the service; options of the client are in camel case. Every method
 * throws a SegmentsError if the request fails, the reason of its signal if that is aborted, and a TypeError for a user id or a slug
 * that cannot be one.
 */
export class SegmentsClient {
  readonly #transport: Transport
  readonly #lookups: Lookups

  /** @throws {TypeError} if the URL or the key is not valid. */
  constructor(options: ClientOptions) {
    this.#transport = new Transport(options)
    this.#lookups = new Lookups(this.#transport)
  }

  /**
   * Tokens of this client's writes, for a client in another process; undefined if there are none. Reads of this client send
   * them already.
   */
  get token(): string | undefined {
    return this.#transport.tokens.value
  }

  /** Adds the `token` of another client: reads from now on contain its writes. */
  addToken(token: string): void {
    this.#transport.tokens.add(token)
  }

  /**
   * The slugs of the segments that a user is in, in the order the segments were created.
   *
   * Reads of one turn of the event loop share a request. Those with `at`, `timeout` or `retries` have one of their own.
   *
   * @throws {SegmentsError} USER_NOT_FOUND
   */
  async getUserSegments(
    userId: UserId,
    options: Query<'getUserSegments'> & CallOptions = {}
  ): Promise<string[]> {
    const id = readUserId(userId)
    const { at, signal, timeout, retries } = options
    if (at === undefined && timeout === undefined && retries === undefined) {
      return this.#lookups.find(id, signal)
    }
    const call: Call = { method: 'GET', path: `/segments/user/${id}`, query: { at }, takesTokens: true }
    return this.#transport.json(call, options)
  }

  /** The segments of any number of users, who may be unknown. It sends a request for each thousand of them. */
  async getSegmentsOfUsers(userIds: Iterable<UserId>, options: CallOptions = {}): Promise<SegmentsOfUsers> {
    return queryUsers(this.#transport, Array.from(userIds, readUserId), options)
  }

  /** The name and the role of this client's key. */
  async getKey(options: CallOptions = {}): Promise<Key> {
    return this.#transport.json({ method: 'GET', path: '/key' }, options)
  }

  /** The state of the service: versions, instances, work in progress. */
  async getSystem(options: CallOptions = {}): Promise<System> {
    return this.#transport.json({ method: 'GET', path: '/system' }, options)
  }

  /** The webhooks, the oldest first. */
  async listWebhooks(options: CallOptions = {}): Promise<Webhook[]> {
    const answer = await this.#transport.json<Webhooks>({ method: 'GET', path: '/webhooks' }, options)
    return answer.webhooks
  }

  /** One webhook: its state, its lag and its last error. @throws {SegmentsError} WEBHOOK_NOT_FOUND */
  async getWebhook(id: string, options: CallOptions = {}): Promise<Webhook> {
    return this.#transport.json({ method: 'GET', path: `/webhooks/${readWebhookId(id)}` }, options)
  }

  /** Creates a webhook. Its secret, if one was made, is in this answer alone. @throws {SegmentsError} SEGMENTS_NOT_FOUND */
  async createWebhook(webhook: CreateWebhook, options: WriteOptions = {}): Promise<CreatedWebhook> {
    return this.#transport.json({ method: 'POST', path: '/webhooks', json: webhook }, options)
  }

  /**
   * Pauses a webhook, resumes it, or lets it continue after a cursor of the change feed.
   *
   * @throws {SegmentsError} WEBHOOK_NOT_FOUND, CURSOR_EXPIRED
   */
  async changeWebhook(id: string, change: ChangeWebhook, options: WriteOptions = {}): Promise<Webhook> {
    const path = `/webhooks/${readWebhookId(id)}`
    return this.#transport.json({ method: 'PATCH', path, json: change }, options)
  }

  /** Deletes a webhook. @throws {SegmentsError} WEBHOOK_NOT_FOUND */
  async deleteWebhook(id: string, options: WriteOptions = {}): Promise<void> {
    await this.#transport.run({ method: 'DELETE', path: `/webhooks/${readWebhookId(id)}` }, options)
  }

  /** A user's memberships: since when, until when and why. @throws {SegmentsError} USER_NOT_FOUND */
  async getUserMemberships(
    userId: UserId,
    options: Query<'getUserMemberships'> & CallOptions = {}
  ): Promise<UserMemberships['memberships']> {
    const { at } = options
    const path = `/segments/user/${readUserId(userId)}/memberships`
    const answer = await this.#transport.json<UserMemberships>(
      { method: 'GET', path, query: { at } },
      options
    )
    return answer.memberships
  }

  /**
   * Whether a user is in a segment, since when, until when and why.
   *
   * @throws {SegmentsError} USER_NOT_FOUND, SEGMENT_NOT_FOUND
   */
  async getMembership(slug: string, userId: UserId, options: CallOptions = {}): Promise<MembershipState> {
    const path = `/segment/${readSlug(slug)}/users/${readUserId(userId)}`
    return this.#transport.json({ method: 'GET', path, takesTokens: true }, options)
  }

  /** What happened to a user, oldest first. */
  getUserHistory(
    userId: UserId,
    options: ListQuery<'getUserHistory'> & CallOptions = {}
  ): Pages<Timeline, TimelineEntry> {
    const { from, to, limit } = options
    const path = `/segments/user/${readUserId(userId)}/history`
    return this.#list(path, { from, to, limit }, options, ({ entries }) => entries)
  }

  /**
   * Adds a user to segments and removes the user from others, at one moment. An unknown user becomes known.
   *
   * @throws {SegmentsError} SEGMENTS_NOT_FOUND, whose `details.segments` names them; GROUP_CONFLICT, whose
   * `details.other_segment` has the user. Then nothing has changed.
   */
  async changeUserSegments(
    userId: UserId,
    change: ChangeUserSegments,
    options: WriteOptions = {}
  ): Promise<void> {
    const path = `/segments/user/${readUserId(userId)}`
    await this.#transport.run({ method: 'POST', path, json: change }, options)
  }

  /** Erases a user: every record of the id. @throws {SegmentsError} USER_NOT_FOUND */
  async eraseUser(userId: UserId, options: WriteOptions = {}): Promise<void> {
    const path = `/users/${readUserId(userId)}`
    await this.#transport.run({ method: 'DELETE', path, isBulk: true }, options)
  }

  /**
   * Creates a segment.
   *
   * @param options with `respondAsync`, the users of the share are added in the background.
   * @throws {SegmentsError} SEGMENT_ALREADY_EXISTS, SEGMENTS_NOT_FOUND, GROUP_EXHAUSTED
   */
  async createSegment(
    segment: CreateSegment,
    options: WriteOptions & { respondAsync?: boolean } = {}
  ): Promise<void> {
    const call: Call = { method: 'POST', path: '/segment', json: segment, isBulk: true }
    if (options.respondAsync) call.headers = { prefer: 'respond-async' }
    await this.#transport.run(call, options)
  }

  /**
   * Counts the known users, or with `from` those whom {@link createSegment} would sample from.
   *
   * @throws {SegmentsError} SEGMENTS_NOT_FOUND, whose `details.segments` names them
   */
  async countUsers(options: Partial<CountComposed> & CallOptions = {}): Promise<number> {
    const { from } = options
    const call: Call =
      from === undefined
        ? { method: 'GET', path: '/users/count' }
        : { method: 'POST', path: '/segments/count', json: { from }, isRead: true }
    return (await this.#transport.json<UserCount>(call, options)).users
  }

  /** A segment, which may be deleted, and its number of members. @throws {SegmentsError} SEGMENT_NOT_FOUND */
  async getSegment(slug: string, options: CallOptions = {}): Promise<Segment> {
    return this.#transport.json({ method: 'GET', path: `/segment/${readSlug(slug)}` }, options)
  }

  /**
   * Changes a segment's share and properties.
   *
   * @throws {SegmentsError} SEGMENT_NOT_FOUND, SEGMENT_BEING_FILLED, GROUP_CONFLICT, GROUP_EXHAUSTED
   */
  async changeSegment(
    slug: string,
    change: ChangeSegment,
    options: WriteOptions = {}
  ): Promise<SegmentChange> {
    const path = `/segment/${readSlug(slug)}`
    return this.#transport.json({ method: 'PATCH', path, json: change, isBulk: true }, options)
  }

  /** Deletes a segment, and ends its memberships. @throws {SegmentsError} SEGMENT_NOT_FOUND */
  async deleteSegment(slug: string, options: WriteOptions = {}): Promise<void> {
    await this.#transport.run({ method: 'DELETE', path: `/segment/${readSlug(slug)}` }, options)
  }

  /** The segments, by slug. */
  listSegments(options: ListQuery<'listSegments'> & CallOptions = {}): Pages<SegmentPage, Segment> {
    const { q, include_deleted, limit } = options
    return this.#list('/segments', { q, include_deleted, limit }, options, ({ segments }) => segments)
  }

  /** Creates an exclusive group: a user is in at most one of its segments. @throws {SegmentsError} GROUP_ALREADY_EXISTS */
  async createGroup(group: CreateGroup, options: WriteOptions = {}): Promise<void> {
    await this.#transport.run({ method: 'POST', path: '/groups', json: group }, options)
  }

  /** A group, its segments, and the number of users who are free. @throws {SegmentsError} GROUP_NOT_FOUND */
  async getGroup(slug: string, options: CallOptions = {}): Promise<GroupReport> {
    return this.#transport.json({ method: 'GET', path: `/groups/${readSlug(slug)}` }, options)
  }

  /**
   * Counts the users that each two segments share: those of the group, or others that are named.
   *
   * @throws {SegmentsError} GROUP_NOT_FOUND, SEGMENTS_NOT_FOUND, DUPLICATE_SLUG
   */
  async getOverlaps(
    group: string,
    { segments, ...options }: { segments?: readonly string[] } & CallOptions = {}
  ): Promise<Overlaps> {
    const path = `/groups/${readSlug(group)}/overlap`
    const query = { segments: segments?.map(readSlug).join() }
    return this.#transport.json({ method: 'GET', path, query, isBulk: true }, options)
  }

  /** Deletes a group. Its segments stay. @throws {SegmentsError} GROUP_NOT_FOUND */
  async deleteGroup(slug: string, options: WriteOptions = {}): Promise<void> {
    const path = `/groups/${readSlug(slug)}`
    await this.#transport.run({ method: 'DELETE', path, isBulk: true }, options)
  }

  /** The groups, by slug. */
  listGroups(options: ListQuery<'listGroups'> & CallOptions = {}): Pages<GroupPage, Group> {
    const { limit } = options
    return this.#list('/groups', { limit }, options, ({ groups }) => groups)
  }

  /** The sizes of a segment over time. @throws {SegmentsError} SEGMENT_NOT_FOUND */
  async getSegmentSizes(
    slug: string,
    options: Partial<Query<'getSegmentSizes'>> & CallOptions = {}
  ): Promise<Sizes['sizes']> {
    const { from, to, step } = options
    const path = `/segment/${readSlug(slug)}/sizes`
    const answer = await this.#transport.json<Sizes>(
      { method: 'GET', path, query: { from, to, step } },
      options
    )
    return answer.sizes
  }

  /** The users in a segment, by id: now, or at a moment. Each page shows its own moment; a download shows one moment. */
  listSegmentUsers(
    slug: string,
    options: ListQuery<'listSegmentUsers'> & CallOptions = {}
  ): Pages<MemberPage, Member> {
    const { at, limit } = options
    return this.#list(`/segment/${readSlug(slug)}/users`, { at, limit }, options, ({ users }) => users)
  }

  /** What happened to a segment, oldest first. */
  getSegmentHistory(
    slug: string,
    options: ListQuery<'getSegmentHistory'> & CallOptions = {}
  ): Pages<SegmentHistory, SegmentEntry> {
    const { limit } = options
    return this.#list(`/segment/${readSlug(slug)}/history`, { limit }, options, ({ entries }) => entries)
  }

  /**
   * Downloads the users in a segment at one moment, as CSV: a line for each user id, with `expires` followed by the time at which
   * the membership expires, if it does.
   *
   * @throws {SegmentsError} SEGMENT_NOT_FOUND
   */
  async downloadSegmentUsers(
    slug: string,
    options: Query<'downloadSegmentUsers'> & DownloadOptions = {}
  ): Promise<UsersDownload> {
    const { expires, onProgress } = options
    const path = `/segment/${readSlug(slug)}/users.csv`
    return this.#transport.send(
      { method: 'GET', path, query: { expires } },
      options,
      async (response, limit) => new UsersDownload(new Source(response, limit), onProgress)
    )
  }

  /**
   * Adds the users of an upload to a segment, at one moment.
   *
   * @throws {SegmentsError} LINES_REJECTED, whose `details` account for the lines; then nothing has changed.
   */
  async addSegmentUsers(
    slug: string,
    source: UploadSource,
    options: Query<'addSegmentUsers'> & UploadOptions & WriteOptions = {}
  ): Promise<AddedMembers> {
    return this.#upload('POST', `/segment/${readSlug(slug)}/users`, source, options)
  }

  /** Removes the users of an upload from a segment, at one moment. @throws {SegmentsError} LINES_REJECTED */
  async removeSegmentUsers(
    slug: string,
    source: UploadSource,
    options: Query<'removeSegmentUsers'> & UploadOptions & WriteOptions = {}
  ): Promise<RemovedMembers> {
    return this.#upload('DELETE', `/segment/${readSlug(slug)}/users`, source, options)
  }

  /**
   * Makes the users of an upload the members of a segment, at one moment: who is missing is removed.
   *
   * @param options with `max_removed`, nothing changes if more users would be removed.
   * @throws {SegmentsError} TOO_MANY_REMOVED, whose `details.removed` is how many would be; LINES_REJECTED,
   * SEGMENT_BEING_FILLED
   */
  async replaceSegmentUsers(
    slug: string,
    source: UploadSource,
    options: Query<'replaceSegmentUsers'> & UploadOptions & WriteOptions = {}
  ): Promise<ReplacedMembers> {
    return this.#upload('PUT', `/segment/${readSlug(slug)}/users`, source, options)
  }

  /** Makes the users of an upload known. @throws {SegmentsError} LINES_REJECTED */
  async addUsers(
    source: UploadSource,
    options: Query<'addUsers'> & UploadOptions & WriteOptions = {}
  ): Promise<KnownUsers> {
    return this.#upload('POST', '/users', source, options)
  }

  /** Orders a report of a user's history. It is made in the background. @throws {SegmentsError} USER_NOT_FOUND */
  async orderUserReport(
    userId: UserId,
    options: Query<'orderUserReport'> & CallOptions = {}
  ): Promise<OrderedReport> {
    const { from, to, month, details } = options
    const path = `/segments/user/${readUserId(userId)}/csv`
    return this.#transport.json({ method: 'GET', path, query: { from, to, month, details } }, options)
  }

  /** Orders a report of all users. It is made in the background. @throws {SegmentsError} SEGMENT_NOT_FOUND */
  async orderReport(order: OrderReport, options: WriteOptions = {}): Promise<OrderedReport> {
    return this.#transport.json({ method: 'POST', path: '/reports', json: order }, options)
  }

  /** The progress of a report. @throws {SegmentsError} REPORT_NOT_FOUND, REPORT_EXPIRED */
  async getReportStatus(report: OrderedReport, options: CallOptions = {}): Promise<ReportStatus> {
    const { path, query } = readReportPath(report)
    const { as_of } = query
    return this.#transport.json({ method: 'GET', path: `${path}/status`, query: { as_of } }, options)
  }

  /**
   * Waits until a report is ready, however long that takes, and downloads it. If the connection is lost, the download goes on
   * where it was.
   *
   * @throws {SegmentsError} REPORT_FAILED, REPORT_NOT_FOUND, REPORT_EXPIRED
   */
  async downloadReport(report: OrderedReport, options: DownloadOptions = {}): Promise<Download> {
    return fetchReport(this.#transport, report, options)
  }

  /** Cancels the order of a report, and removes it, unless others have ordered it too. */
  async cancelReport(report: OrderedReport, options: WriteOptions = {}): Promise<void> {
    await this.#transport.run({ method: 'DELETE', ...readReportPath(report) }, options)
  }

  /** What has changed, as it happens: an endless iteration, which waits for changes and goes on after faults. */
  changes(options: ChangesOptions = {}): ChangeFeed {
    return new ChangeFeed(this.#transport, options)
  }

  /** Keeps a copy of the members of a segment, which follows the service until it is closed. */
  followSegment(slug: string): FollowedSegment {
    return new FollowedSegment(this.#transport, slug, (...download) => this.downloadSegmentUsers(...download))
  }

  /**
   * Keeps lookups in memory, up to date by the change feed, until it is closed.
   *
   * @param options `maxUsers`: how many users it remembers, 10,000 by default.
   */
  cacheLookups({ maxUsers }: { maxUsers?: number } = {}): LookupCache {
    return new LookupCache(this.#transport, (...lookup) => this.getUserMemberships(...lookup), maxUsers)
  }

  #list<Page extends { next_cursor: string | null }, Entry>(
    path: string,
    query: Call['query'],
    options: CallOptions,
    entriesOf: (page: Page) => readonly Entry[]
  ): Pages<Page, Entry> {
    const read = (cursor: string | undefined) =>
      this.#transport.json<Page>({ method: 'GET', path, query: { ...query, cursor } }, options)
    return new Pages(read, entriesOf)
  }

  #upload<Account>(
    method: 'POST' | 'PUT' | 'DELETE',
    path: string,
    source: UploadSource,
    options: Query<'replaceSegmentUsers'> & UploadOptions & WriteOptions
  ): Promise<Account> {
    const { dry_run, on_error, max_removed } = options
    const upload = new Upload(source, options, this.#transport.streamsUploads)
    const query = { dry_run, on_error, max_removed }
    return this.#transport.json({ method, path, query, upload, isBulk: true }, options)
  }
}
