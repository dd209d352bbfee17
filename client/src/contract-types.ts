import type { components, operations } from './contract.ts'

type Schemas = components['schemas']

/** The query parameters of an operation. */
export type Query<Operation extends keyof operations> = NonNullable<
  operations[Operation]['parameters']['query']
>

/** The query of a list, whose pages the client requests itself. */
export type ListQuery<Operation extends keyof operations> = Omit<Query<Operation>, 'cursor'>

export type Change = Schemas['Change']
export type Changes = Schemas['Changes']
export type Segment = Schemas['Segment']
export type SegmentPage = Schemas['SegmentPage']
export type SegmentChange = Schemas['SegmentChange']
export type SegmentEntry = Schemas['SegmentEntry']
export type SegmentHistory = Schemas['SegmentHistory']
export type CreateSegment = Schemas['CreateSegment']
export type CountComposed = Schemas['CountComposed']
export type UserCount = Schemas['UserCount']
export type ChangeSegment = Schemas['ChangeSegment']
export type CreateGroup = Schemas['CreateGroup']
export type Group = Schemas['Group']
export type GroupPage = Schemas['GroupPage']
export type GroupReport = Schemas['GroupReport']
export type Overlaps = Schemas['Overlaps']
export type Member = Schemas['Member']
export type MemberPage = Schemas['MemberPage']
export type Membership = Schemas['Membership']
export type MembershipState = Schemas['MembershipState']
export type UserMemberships = Schemas['UserMemberships']
export type SegmentsOfUsers = Schemas['SegmentsOfUsers']
export type ChangeUserSegments = Schemas['ChangeUserSegments']
export type Timeline = Schemas['Timeline']
export type TimelineEntry = Schemas['TimelineEntry']
export type AddedMembers = Schemas['AddedMembers']
export type ReplacedMembers = Schemas['ReplacedMembers']
export type RemovedMembers = Schemas['RemovedMembers']
export type Key = Schemas['Key']
export type Sizes = Schemas['Sizes']
export type System = Schemas['System']
export type Webhook = Schemas['Webhook']
export type Webhooks = Schemas['Webhooks']
export type CreateWebhook = Schemas['CreateWebhook']
export type CreatedWebhook = Schemas['CreatedWebhook']
export type ChangeWebhook = Schemas['ChangeWebhook']
export type KnownUsers = Schemas['KnownUsers']
export type OrderReport = Schemas['OrderReport']
export type OrderedReport = Schemas['OrderedReport']
export type ReportStatus = Schemas['ReportStatus']
