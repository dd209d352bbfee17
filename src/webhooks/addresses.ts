/** Which addresses webhooks may be delivered to. */
import { promises as dns, type LookupAddress } from 'node:dns'
import ipaddr from 'ipaddr.js'
import { MAX_WEBHOOK_LOOKUPS } from '../limits.ts'
import { Slots } from './slots.ts'

/** Of IPv6, only these are assigned as public addresses. */
const GLOBAL_UNICAST = ipaddr.parseCIDR('2000::/3')

/** The host is in a private network, and the service does not deliver there. */
export class PrivateAddressError extends Error {}

/**
 * Whether an address is public. Not public are private, loopback, link-local, shared (CGNAT), multicast and reserved ones,
 * and IPv6 addresses that contain an IPv4 address, such as those of NAT64.
 */
export function isPublicAddress(address: string): boolean {
  if (!ipaddr.isValid(address)) return false
  const parsed = ipaddr.parse(address)
  return parsed.range() === 'unicast' && (parsed.kind() === 'ipv4' || parsed.match(GLOBAL_UNICAST))
}

/** The host of a URL as an address; undefined if it is a name. */
export function addressOf({ hostname }: URL): string | undefined {
  const address = hostname.replace(/^\[|\]$/g, '')
  return ipaddr.isValid(address) ? address : undefined
}

/**
 * A lookup takes one of the four threads that Node.js also uses for files, for as long as the name servers take. So few run
 * at once.
 */
const lookups = new Slots(MAX_WEBHOOK_LOOKUPS)

/**
 * Resolves the host of a URL.
 *
 * @returns all its addresses.
 * @throws {PrivateAddressError} if one of them is not public, unless `allowsPrivate`.
 */
export async function resolveHost(url: URL, allowsPrivate: boolean): Promise<LookupAddress[]> {
  const host = addressOf(url) ?? url.hostname
  const addresses = await lookups.run(() => dns.lookup(host, { all: true }))
  if (!allowsPrivate && !addresses.every(({ address }) => isPublicAddress(address)))
    throw new PrivateAddressError('the host has an address of a private network')
  return addresses
}
