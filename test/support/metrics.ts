import type { TestService } from './service.ts'

/** The samples of a scrape, by name and labels as in its text. */
export class Scrape {
  readonly #samples: Map<string, number>

  constructor(text: string) {
    this.#samples = new Map(
      text
        .split('\n')
        .filter((line) => line !== '' && !line.startsWith('#'))
        .map((line) => {
          const at = line.lastIndexOf(' ')
          return [line.slice(0, at), Number(line.slice(at + 1))]
        })
    )
  }

  /** The value of a sample, such as `up` or `up{job="x"}`; undefined if there is none. */
  value(sample: string): number | undefined {
    return this.#samples.get(sample)
  }

  /** The samples whose name and labels begin with this text. */
  startingWith(start: string): string[] {
    return [...this.#samples.keys()].filter((sample) => sample.startsWith(start))
  }
}

export async function scrape({ app }: TestService): Promise<Scrape> {
  const { statusCode, body } = await app.inject('/metrics')
  if (statusCode !== 200) throw new Error(`/metrics answered ${statusCode}: ${body}`)
  return new Scrape(body)
}

/** The memory of a listening service, in MB. */
export async function residentMegabytes(address: string): Promise<number> {
  const metrics = new Scrape(await (await fetch(`${address}/metrics`)).text())
  return (metrics.value('process_resident_memory_bytes') ?? Number.NaN) / 2 ** 20
}
